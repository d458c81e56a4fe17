#include "kino_torch.h"
