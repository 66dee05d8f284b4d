#include "controlplane/sip/user_agent.h"

#include "codecs/base/check.h"
#include "controlplane/sip/user_agent_impl.h"

namespace ifgw::sip {

UserAgent::Impl::Impl(UserAgentConfig config, Randomness randomness)
    : config_(std::move(config)),
      randomness_(std::move(randomness)),
      outbox_(config_.limits.outputs, statistics_),
      server_(config_.limits.transactions, config_.timers, randomness_.hash_key, outbox_),
      client_(config_.limits.transactions, config_.timers, randomness_.hash_key, outbox_),
      legs_(config_.limits.legs),
      leg_by_tag_(randomness_.hash_key),
      admission_(config_.limits),
      shed_invites_(config_.limits.shed_invites, 64 * config_.timers.t1) {
  IFGW_CHECK(!config_.addresses.empty());
  IFGW_CHECK(randomness_.random != nullptr && randomness_.next_leg != nullptr);
}

UserAgent::UserAgent(UserAgentConfig config, Randomness randomness)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(randomness))) {}
UserAgent::~UserAgent() = default;

void UserAgent::on_message(const InboundMessage& message, Instant now) { impl_->on_message(message, now); }
void UserAgent::on_command(const core::LegCommand& command, Instant now) { impl_->on_command(command, now); }
void UserAgent::on_timer(Instant now) { impl_->on_timer(now); }
Instant UserAgent::next_deadline() const { return impl_->next_deadline(); }
bool UserAgent::uses_connection(ConnectionId connection) const { return impl_->uses_connection(connection); }
void UserAgent::on_send_failed(std::uint64_t ticket, Instant now) { impl_->on_send_failed(ticket, now); }
void UserAgent::drain(Outputs& outputs) { impl_->drain(outputs); }
void UserAgent::set_draining(bool draining) { impl_->set_draining(draining); }
const Statistics& UserAgent::statistics() const { return impl_->statistics(); }
Occupancy UserAgent::occupancy() const { return impl_->occupancy(); }
std::vector<LegView> UserAgent::legs() const { return impl_->legs(); }

}  // namespace ifgw::sip
