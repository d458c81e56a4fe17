#ifndef KINO_TORCH_H
#define KINO_TORCH_H
#endif
