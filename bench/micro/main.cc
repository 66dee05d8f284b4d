// Usage: ifgw-micro [--benchmark_filter=REGEX] [--benchmark_format=json] ...
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
