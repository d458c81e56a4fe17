#include "kino_sentencepiece.h"
