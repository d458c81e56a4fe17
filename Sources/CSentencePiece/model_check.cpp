#include "model_check.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace kino_sp {
namespace {

// Field numbers of sentencepiece_model.proto.
constexpr uint32_t kPieces = 1, kNormalizer = 3, kDenormalizer = 5;
constexpr uint32_t kPieceScore = 2;
constexpr uint32_t kCharacterMap = 2;

struct Field {
  uint32_t number = 0;
  uint32_t wire_type = 0;
  std::string_view bytes;  // the value, unless it is a varint
};

// Walks over the fields of one serialized protocol buffer message.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  bool done() const { return rest_.empty(); }

  // Returns nothing if the message is cut short or malformed.
  std::optional<Field> Next() {
    const auto tag = Varint();
    if (!tag || *tag >> 3 == 0 || *tag > UINT32_MAX) return std::nullopt;
    Field field{static_cast<uint32_t>(*tag >> 3), static_cast<uint32_t>(*tag & 7), {}};
    uint64_t size = 0;
    switch (field.wire_type) {
      case 0: return Varint() ? std::optional(field) : std::nullopt;
      case 1: size = 8; break;
      case 5: size = 4; break;
      case 2: {
        const auto length = Varint();
        if (!length) return std::nullopt;
        size = *length;
        break;
      }
      default: return std::nullopt;
    }
    if (size > rest_.size()) return std::nullopt;
    field.bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return field;
  }

 private:
  std::optional<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

// Checks the normaliser's table: the size of a double-array trie in bytes, its 32-bit units, then
// zero-terminated replacements that the trie's values point into.
//
// From a node the trie goes to `base ^ byte`, so that a step stays inside if the whole block of
// 256 units around the base does.
std::string FindMapDamage(std::string_view map) {
  if (map.empty()) return "";
  uint32_t trie_bytes = 0;
  if (map.size() <= sizeof trie_bytes) return "its character map is cut short";
  std::memcpy(&trie_bytes, map.data(), sizeof trie_bytes);
  map.remove_prefix(sizeof trie_bytes);
  if (trie_bytes >= map.size() || trie_bytes == 0 || trie_bytes % 1024 != 0) {
    return "its character map has an impossible size";
  }
  std::vector<uint32_t> units(trie_bytes / 4);
  std::memcpy(units.data(), map.data(), trie_bytes);
  const auto replacements = map.substr(trie_bytes);
  if (replacements.back() != '\0') return "its character map does not end";

  for (size_t i = 0; i < units.size(); ++i) {
    const uint32_t unit = units[i];
    // A value: reached only from its node, and checked there. The root is no value whatever it says.
    if (unit >> 31 && i != 0) continue;
    const size_t base = i ^ ((unit >> 10) << ((unit & (1u << 9)) >> 6));
    if (base / 256 >= units.size() / 256) return "its character map points outside itself";
    if (unit & (1u << 8)) {
      const size_t value = units[base] & 0x7FFFFFFF;
      if (value >= replacements.size()) return "its character map points outside itself";
    }
  }
  return "";
}

template <typename Check>
std::string ForEachField(std::string_view message, const char *part, Check check) {
  Reader reader(message);
  while (!reader.done()) {
    const auto field = reader.Next();
    if (!field) return std::string(part) + " cut short or malformed";
    const auto damage = check(*field);
    if (!damage.empty()) return damage;
  }
  return "";
}

std::string CheckPieceField(const Field &field) {
  if (field.number != kPieceScore || field.wire_type != 5) return "";
  float score = 0;
  std::memcpy(&score, field.bytes.data(), sizeof score);
  return std::isfinite(score) ? "" : "a piece has a score that is no number";
}

std::string CheckNormalizerField(const Field &field) {
  return field.number == kCharacterMap && field.wire_type == 2 ? FindMapDamage(field.bytes) : "";
}

}  // namespace

std::string FindDamage(std::string_view model) {
  if (model.empty()) return "it is empty";
  return ForEachField(model, "it is", [](const Field &field) -> std::string {
    if (field.wire_type != 2) return "";
    if (field.number == kPieces) {
      return ForEachField(field.bytes, "a piece is", CheckPieceField);
    }
    if (field.number == kNormalizer || field.number == kDenormalizer) {
      return ForEachField(field.bytes, "its normaliser is", CheckNormalizerField);
    }
    return "";
  });
}

}  // namespace kino_sp
