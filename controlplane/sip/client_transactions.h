// Client transactions: requests we sent, found again by branch and CSeq method (RFC 3261 section 17.1.3). They
// acknowledge non-2xx answers to INVITE themselves; the ACK of a 2xx is the dialog's, but is kept here as long as the
// 2xx can come again.
#pragma once

#include <string>
#include <vector>

#include "controlplane/sip/keyed_index.h"
#include "controlplane/sip/machine.h"
#include "controlplane/sip/outbox.h"
#include "controlplane/sip/prescan.h"

namespace ifgw::sip {

// What the request was for; decides what a response or its absence means.
enum class Purpose : std::uint8_t { Invite, ReInvite, Bye, Cancel };

struct ClientFailure {
  SlotId id = 0;  // already gone
  Purpose purpose{};
  Owner owner;
};

class ClientTransactions {
 public:
  ClientTransactions(std::size_t capacity, const TimerConfig& timers, const HashKey& key, Outbox& outbox);

  bool full() const noexcept { return table_.full(); }
  std::size_t size() const noexcept { return table_.size(); }

  // Sends `request` (method and branch are read from it). 0: table full, nothing sent.
  SlotId start(Wire request, const Hop& hop, Purpose purpose, const Owner& owner, Instant now);

  SlotId find(const PreScan& response) const;
  // What the response means to the user of the transaction.
  struct Received {
    bool pass_up = false;
    Purpose purpose{};
    Owner owner;
  };
  Received on_response(SlotId id, const PreScan& response, Instant now);

  // The request as sent, and where to; null when gone.
  Wire request(SlotId id);
  Hop hop(SlotId id);
  // Sends the ACK of a 2xx with this To tag and keeps it.
  void acknowledge(SlotId id, std::string_view to_tag, Wire ack, const Hop& hop, Instant now);
  // Sends the kept ACK again; false when none was kept for this To tag.
  bool acknowledge_again(SlotId id, std::string_view to_tag, Instant now);
  // It waits for a final response.
  bool unanswered(SlotId id);
  // Forget it: nobody waits any more.
  void drop(SlotId id);
  // Forget it if it still waits for a final response: an INVITE that has seen a provisional one has no timer of its own.
  void drop_unanswered(SlotId id);

  Instant next_deadline() const noexcept { return table_.next_deadline(); }
  // Runs due timers; appends the transactions that timed out (B, F).
  void on_timer(Instant now, std::vector<ClientFailure>& failures);
  // The transport could not send; empty purpose when `id` is gone. True and `failure` set when it was there.
  bool on_send_failed(SlotId id, ClientFailure& failure);

 private:
  struct Transaction {
    Machine machine;
    Hop hop;
    Owner owner;
    Purpose purpose;
    Wire request;  // dropped when nothing can need it again
    std::string key;
    Wire ack;
    Hop ack_hop;
    std::string ack_tag;
  };

  void settle(SlotId id, Transaction& transaction);

  const TimerConfig& timers_;
  Outbox& outbox_;
  SlotTable<Transaction> table_;
  KeyedIndex index_;
};

}  // namespace ifgw::sip
