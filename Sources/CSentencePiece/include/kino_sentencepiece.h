// A C interface to SentencePiece: load a model, turn text into ids and back, train a model.
//
// Every function that can fail returns a status and leaves its outputs untouched unless that is
// KINO_SP_OK. No C++ exception leaves it. A loaded model is never changed, so that any number of
// threads may use it at once.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum kino_sp_status {
  KINO_SP_OK = 0,
  // A file could not be read.
  KINO_SP_UNREADABLE = 1,
  // The bytes are not a SentencePiece model, or a damaged one.
  KINO_SP_INVALID_MODEL = 2,
  // Text could not be encoded or decoded.
  KINO_SP_PROCESSING = 3,
  // A model could not be trained.
  KINO_SP_TRAINING = 4,
  KINO_SP_OUT_OF_MEMORY = 5,
} kino_sp_status;

typedef struct kino_sp_model kino_sp_model;

// What went wrong in this thread's last call that failed; valid until its next call that fails.
const char *kino_sp_last_error(void);

// Loads a model; close it with `kino_sp_close`.
kino_sp_status kino_sp_open_file(const char *path, kino_sp_model **model);
kino_sp_status kino_sp_open_bytes(const void *bytes, size_t count, kino_sp_model **model);
void kino_sp_close(kino_sp_model *model);

// Ids of the special pieces are -1 if the model has no such piece.
int32_t kino_sp_vocabulary_size(const kino_sp_model *model);
int32_t kino_sp_pad_id(const kino_sp_model *model);
int32_t kino_sp_end_id(const kino_sp_model *model);
int32_t kino_sp_unknown_id(const kino_sp_model *model);

// The text of a piece, owned by the model, or NULL if there is no such id.
const char *kino_sp_piece(const kino_sp_model *model, int32_t id, size_t *count);
// The id of a piece; the unknown id if the model does not have it.
int32_t kino_sp_piece_id(const kino_sp_model *model, const char *piece, size_t count);

// Encodes UTF-8, without an end piece. Free the ids with `kino_sp_free`.
kino_sp_status kino_sp_encode(const kino_sp_model *model, const char *text, size_t count,
                              int32_t **ids, size_t *id_count);
// Decodes ids to UTF-8; ids outside the vocabulary are dropped. Free the text with `kino_sp_free`.
kino_sp_status kino_sp_decode(const kino_sp_model *model, const int32_t *ids, size_t id_count,
                              char **text, size_t *count);

// Trains a unigram model with T5's special pieces: pad 0, end 1, unknown 2, no beginning. One
// thread, so that the result depends on the arguments alone. Free the bytes with `kino_sp_free`.
kino_sp_status kino_sp_train(const char *const *sentences, const size_t *counts,
                             size_t sentence_count, int32_t vocabulary_size,
                             double character_coverage, int32_t byte_fallback,
                             uint8_t **bytes, size_t *byte_count);

void kino_sp_free(void *memory);

#ifdef __cplusplus
}
#endif
