// Stands in for a header that LibTorch does not ship; nothing of it is used.
#pragma once
