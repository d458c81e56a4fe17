// Checks a serialized SentencePiece model before the library sees it.
#pragma once

#include <string>
#include <string_view>

namespace kino_sp {

// Returns what is wrong with a model, or nothing.
//
// The library trusts two things in a model that it reads without bounds: the table of text
// normalisation, whose offsets it follows, and the scores, which it compares.
std::string FindDamage(std::string_view model);

}  // namespace kino_sp
