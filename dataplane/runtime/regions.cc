#include "dataplane/runtime/regions.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

namespace ifgw::runtime {
namespace {

constexpr unsigned kHuge2Mb = 21u << 26;  // MFD_HUGE_2MB of linux/memfd.h, which glibc 2.36 does not name

Error system_error(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

}  // namespace

Result<SharedMemory> SharedMemory::create(const char* name, std::size_t bytes, bool seal_writes, std::size_t page_bytes) {
  SharedMemory memory;
  const unsigned pages = page_bytes == api::kHugePage ? MFD_HUGETLB | kHuge2Mb : 0u;
  memory.fd_ = Fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | pages));
  if (!memory.fd_) return system_error("memfd_create");
  if (ftruncate(memory.fd(), static_cast<off_t>(bytes)) != 0)
    return system_error("cannot size shared memory to " + std::to_string(bytes) + " bytes");
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory.fd(), 0);
  if (data == MAP_FAILED) return system_error("cannot map " + std::to_string(bytes) + " bytes of shared memory");
  memory.data_ = static_cast<std::uint8_t*>(data);
  memory.size_ = bytes;
  if (madvise(data, bytes, MADV_DONTDUMP) != 0) return system_error("madvise(MADV_DONTDUMP)");
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | (seal_writes ? F_SEAL_FUTURE_WRITE : 0) | F_SEAL_SEAL;
  if (fcntl(memory.fd(), F_ADD_SEALS, seals) != 0) return system_error("cannot seal shared memory (Linux 5.1 or later is needed)");
  return memory;
}

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) munmap(data_, size_);
    fd_ = std::move(other.fd_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) munmap(data_, size_);
}

Result<CounterRegion> CounterRegion::create(std::uint32_t workers, std::uint32_t legs_per_worker, bool huge_pages) {
  CounterRegion region;
  region.page_bytes_ = huge_pages ? api::kHugePage : api::kPage;
  region.at_ = api::counter_layout(workers, legs_per_worker, region.page_bytes_);
  region.legs_per_worker_ = legs_per_worker;
  auto memory = SharedMemory::create("ifgw-counters", region.at_.bytes, true, region.page_bytes_);
  if (!memory) return huge_pages ? create(workers, legs_per_worker, false) : memory.error();
  region.memory_ = std::move(memory).value();
  std::uint8_t* base = region.memory_.data();
  new (base) api::ProcessBlock;
  for (std::size_t i = 0; i < api::kMaxPorts * 2; ++i) new (base + region.at_.ports + i * sizeof(api::PortBlock)) api::PortBlock;
  for (std::size_t i = 0; i < workers; ++i) new (base + region.at_.workers + i * sizeof(api::WorkerBlock)) api::WorkerBlock;
  for (std::size_t i = 0; i < std::size_t{workers} * legs_per_worker; ++i)
    new (base + region.at_.legs + i * sizeof(api::LegRow)) api::LegRow;
  return region;
}

api::ProcessBlock& CounterRegion::process() const noexcept { return *reinterpret_cast<api::ProcessBlock*>(memory_.data()); }

api::PortBlock& CounterRegion::port(std::size_t i) const noexcept {
  IFGW_CHECK(i < api::kMaxPorts * 2);
  return reinterpret_cast<api::PortBlock*>(memory_.data() + at_.ports)[i];
}

api::WorkerBlock& CounterRegion::worker(std::size_t w) const noexcept {
  return reinterpret_cast<api::WorkerBlock*>(memory_.data() + at_.workers)[w];
}

std::span<api::LegRow> CounterRegion::legs(std::size_t w) const noexcept {
  return {reinterpret_cast<api::LegRow*>(memory_.data() + at_.legs) + w * legs_per_worker_, legs_per_worker_};
}

Result<std::unique_ptr<RingRegion>> RingRegion::create(const api::RingSizes& sizes, std::uint32_t workers) {
  auto region = std::make_unique<RingRegion>();
  auto memory = SharedMemory::create("ifgw-rings", api::ring_region_bytes(sizes, workers), false);
  if (!memory) return memory.error();
  region->memory_ = std::move(memory).value();
  auto client_doorbell = make_client_doorbell();
  if (!client_doorbell) return client_doorbell.error();
  region->client_doorbell_ = std::move(client_doorbell).value();
  const api::RingLayout at = api::ring_layout(sizes);
  for (std::uint32_t w = 0; w < workers; ++w) {
    std::uint8_t* base = region->memory_.data() + at.stride * w;
    for (const std::size_t indices : {at.commands, at.events, at.datagrams_up, at.datagrams_down, at.captured})
      new (base + indices) api::RingIndices;
    WorkerRings& rings = region->rings_.emplace_back();
    rings.flags = new (base + at.flags) api::SleepFlags;
    rings.commands = {base + at.commands, sizes.commands};
    rings.events = {base + at.events, sizes.events};
    rings.datagrams_up = {base + at.datagrams_up, sizes.datagrams_up};
    rings.datagrams_down = {base + at.datagrams_down, sizes.datagrams_down};
    rings.captured = {base + at.captured, sizes.captured};
    auto doorbell = make_worker_doorbell();
    if (!doorbell) return doorbell.error();
    rings.doorbell = region->worker_doorbells_.emplace_back(std::move(doorbell).value()).get();
    rings.client_doorbell = region->client_doorbell_.ours.get();
  }
  return region;
}

}  // namespace ifgw::runtime
