// Tensors are part of every call, so that one import is enough.
@_exported public import KinoTensor
