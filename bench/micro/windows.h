// How the micro benchmarks measure: thread CPU time, in windows of many operations, on a machine that may be busy with
// other things. The best window tells the cost, the median how quiet the machine was. Counters: ns_min, ns_median.
#pragma once

#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

namespace ifgw::bench {

inline std::int64_t thread_cpu_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

inline void report(benchmark::State& state, std::vector<double>& ns, std::size_t operations) {
  std::sort(ns.begin(), ns.end());
  state.counters["ns_min"] = ns.front();
  state.counters["ns_median"] = ns[ns.size() / 2];
  state.SetItemsProcessed(static_cast<std::int64_t>(operations) * state.iterations());
}

// Runs `window` once per benchmark iteration; it performs `operations` operations.
template <typename Window>
void measure(benchmark::State& state, std::size_t operations, Window&& window) {
  std::vector<double> ns;
  for (auto _ : state) {
    const std::int64_t before = thread_cpu_ns();
    window();
    const std::int64_t spent = thread_cpu_ns() - before;
    ns.push_back(static_cast<double>(spent) / static_cast<double>(operations));
    state.SetIterationTime(static_cast<double>(spent) * 1e-9);
  }
  report(state, ns, operations);
}

// The same beside another way to do it, in turn, so that both see the same host: counters other_ns_min and ratio (of ours
// to the other).
template <typename Window, typename Other>
void measure_beside(benchmark::State& state, std::size_t operations, Window&& window, Other&& other) {
  std::vector<double> ns;
  double other_min = 1e18;
  for (auto _ : state) {
    const std::int64_t begin = thread_cpu_ns();
    window();
    const std::int64_t middle = thread_cpu_ns();
    other();
    const std::int64_t end = thread_cpu_ns();
    ns.push_back(static_cast<double>(middle - begin) / static_cast<double>(operations));
    other_min = std::min(other_min, static_cast<double>(end - middle) / static_cast<double>(operations));
    state.SetIterationTime(static_cast<double>(middle - begin) * 1e-9);
  }
  report(state, ns, operations);
  state.counters["other_ns_min"] = other_min;
  state.counters["ratio"] = ns.front() / other_min;
}

enum class PageSize { Small, Huge };

// Zeroed, touched memory. Huge: 2 MB pages from the system's reserve; empty when there are not enough.
class Pages {
 public:
  Pages(std::size_t size, PageSize page) : size_((size + (2 << 20) - 1) & ~std::size_t{(2 << 20) - 1}) {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | (page == PageSize::Huge ? MAP_HUGETLB : 0);
    void* at = mmap(nullptr, size_, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (at == MAP_FAILED) return;
    if (page == PageSize::Small) (void)madvise(at, size_, MADV_NOHUGEPAGE);
    at_ = at;
  }
  ~Pages() {
    if (at_ != nullptr) (void)munmap(at_, size_);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  bool empty() const { return at_ == nullptr; }
  std::span<std::byte> span() { return {static_cast<std::byte*>(at_), size_}; }

 private:
  std::size_t size_;
  void* at_ = nullptr;
};

inline const char* name(PageSize page) { return page == PageSize::Huge ? "2 MB pages" : "4 KB pages"; }

}  // namespace ifgw::bench
