#include "include/kino_sentencepiece.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model_check.h"

struct kino_sp_model {
  sentencepiece::SentencePieceProcessor processor;
};

namespace {

// Models in use are a few megabytes; whatever is far larger is something else.
constexpr uintmax_t kLargestModel = uintmax_t{1} << 28;

thread_local char last_error[1024] = "";

kino_sp_status Fail(kino_sp_status status, std::string_view message) {
  std::snprintf(last_error, sizeof last_error, "%.*s",
                static_cast<int>(std::min<size_t>(message.size(), sizeof last_error - 1)),
                message.data());
  return status;
}

// Runs `body`, turning what it throws into a status.
template <typename Body>
kino_sp_status Guard(kino_sp_status failure, Body body) {
  try {
    return body();
  } catch (const std::bad_alloc &) {
    return Fail(KINO_SP_OUT_OF_MEMORY, "out of memory");
  } catch (const std::exception &error) {
    return Fail(failure, error.what());
  } catch (...) {
    return Fail(failure, "an unknown exception");
  }
}

// The library's own words without the place in its source that it puts before them.
std::string Reason(const sentencepiece::util::Status &status) {
  std::string text = status.ToString();
  const auto bracket = text.rfind("] ");
  return bracket == std::string::npos ? text : text.substr(bracket + 2);
}

// Copies into memory that C code can free; never returns NULL.
template <typename Element>
Element *Copy(const Element *elements, size_t count) {
  void *memory = std::malloc(std::max<size_t>(count * sizeof(Element), 1));
  if (memory == nullptr) throw std::bad_alloc();
  if (count > 0) std::memcpy(memory, elements, count * sizeof(Element));
  return static_cast<Element *>(memory);
}

kino_sp_status Open(std::string_view bytes, kino_sp_model **result) {
  const auto damage = kino_sp::FindDamage(bytes);
  if (!damage.empty()) return Fail(KINO_SP_INVALID_MODEL, damage);
  auto model = std::make_unique<kino_sp_model>();
  const auto status = model->processor.LoadFromSerializedProto(bytes);
  if (!status.ok()) return Fail(KINO_SP_INVALID_MODEL, Reason(status));
  *result = model.release();
  return KINO_SP_OK;
}

class Sentences : public sentencepiece::SentenceIterator {
 public:
  Sentences(const char *const *texts, const size_t *counts, size_t size)
      : texts_(texts), counts_(counts), size_(size) {
    Read();
  }

  bool done() const override { return index_ >= size_; }
  void Next() override {
    ++index_;
    Read();
  }
  const std::string &value() const override { return value_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  void Read() {
    if (!done()) value_.assign(texts_[index_], counts_[index_]);
  }

  const char *const *texts_;
  const size_t *counts_;
  size_t size_;
  size_t index_ = 0;
  std::string value_;
};

}  // namespace

const char *kino_sp_last_error(void) { return last_error; }

kino_sp_status kino_sp_open_file(const char *path, kino_sp_model **model) {
  return Guard(KINO_SP_UNREADABLE, [&] {
    if (!std::filesystem::is_regular_file(path)) {
      return Fail(KINO_SP_UNREADABLE,
                  std::filesystem::exists(path) ? "it is not a file" : "there is no such file");
    }
    if (std::filesystem::file_size(path) > kLargestModel) {
      return Fail(KINO_SP_INVALID_MODEL, "it is larger than any SentencePiece model");
    }
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (!file) return Fail(KINO_SP_UNREADABLE, "it cannot be read");
    return Guard(KINO_SP_INVALID_MODEL, [&] { return Open(bytes, model); });
  });
}

kino_sp_status kino_sp_open_bytes(const void *bytes, size_t count, kino_sp_model **model) {
  return Guard(KINO_SP_INVALID_MODEL, [&] {
    return Open(std::string_view(static_cast<const char *>(bytes), count), model);
  });
}

void kino_sp_close(kino_sp_model *model) { delete model; }

int32_t kino_sp_vocabulary_size(const kino_sp_model *model) {
  return model->processor.GetPieceSize();
}

int32_t kino_sp_pad_id(const kino_sp_model *model) { return model->processor.pad_id(); }
int32_t kino_sp_end_id(const kino_sp_model *model) { return model->processor.eos_id(); }
int32_t kino_sp_unknown_id(const kino_sp_model *model) { return model->processor.unk_id(); }

const char *kino_sp_piece(const kino_sp_model *model, int32_t id, size_t *count) {
  if (id < 0 || id >= model->processor.GetPieceSize()) return nullptr;
  const std::string &piece = model->processor.IdToPiece(id);
  *count = piece.size();
  return piece.c_str();
}

int32_t kino_sp_piece_id(const kino_sp_model *model, const char *piece, size_t count) {
  return model->processor.PieceToId(std::string_view(piece, count));
}

kino_sp_status kino_sp_encode(const kino_sp_model *model, const char *text, size_t count,
                              int32_t **ids, size_t *id_count) {
  return Guard(KINO_SP_PROCESSING, [&] {
    std::vector<int> found;
    const auto status = model->processor.Encode(std::string_view(text, count), &found);
    if (!status.ok()) return Fail(KINO_SP_PROCESSING, Reason(status));
    *ids = Copy<int32_t>(found.data(), found.size());
    *id_count = found.size();
    return KINO_SP_OK;
  });
}

kino_sp_status kino_sp_decode(const kino_sp_model *model, const int32_t *ids, size_t id_count,
                              char **text, size_t *count) {
  return Guard(KINO_SP_PROCESSING, [&] {
    const int size = model->processor.GetPieceSize();
    std::vector<int> known;
    for (size_t i = 0; i < id_count; ++i) {
      if (ids[i] >= 0 && ids[i] < size) known.push_back(ids[i]);
    }
    std::string decoded;
    const auto status = model->processor.Decode(known, &decoded);
    if (!status.ok()) return Fail(KINO_SP_PROCESSING, Reason(status));
    *text = Copy(decoded.data(), decoded.size());
    *count = decoded.size();
    return KINO_SP_OK;
  });
}

kino_sp_status kino_sp_train(const char *const *sentences, const size_t *counts,
                             size_t sentence_count, int32_t vocabulary_size,
                             double character_coverage, int32_t byte_fallback,
                             uint8_t **bytes, size_t *byte_count) {
  return Guard(KINO_SP_TRAINING, [&] {
    const std::unordered_map<std::string, std::string> options = {
        {"model_type", "unigram"},
        {"vocab_size", std::to_string(vocabulary_size)},
        {"character_coverage", std::to_string(character_coverage)},
        {"byte_fallback", byte_fallback ? "true" : "false"},
        {"normalization_rule_name", "nmt_nfkc"},
        {"pad_id", "0"},
        {"eos_id", "1"},
        {"unk_id", "2"},
        {"bos_id", "-1"},
        {"num_threads", "1"},
        {"minloglevel", "3"},
    };
    Sentences iterator(sentences, counts, sentence_count);
    std::string model;
    const auto status = sentencepiece::SentencePieceTrainer::Train(options, &iterator, &model);
    if (!status.ok()) return Fail(KINO_SP_TRAINING, Reason(status));
    *bytes = Copy(reinterpret_cast<const uint8_t *>(model.data()), model.size());
    *byte_count = model.size();
    return KINO_SP_OK;
  });
}

void kino_sp_free(void *memory) { std::free(memory); }
