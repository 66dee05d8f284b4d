// Server transactions: requests we received, found again by what RFC 3261 section 17.2.3 says (branch, sent-by,
// method), or by the RFC 2543 fields when the branch lacks the magic cookie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/sip/keyed_index.h"
#include "controlplane/sip/machine.h"
#include "controlplane/sip/outbox.h"
#include "controlplane/sip/prescan.h"

namespace ifgw::sip {

class ServerTransactions {
 public:
  ServerTransactions(std::size_t capacity, const TimerConfig& timers, const HashKey& key, Outbox& outbox);

  bool full() const noexcept { return table_.full(); }
  std::size_t size() const noexcept { return table_.size(); }

  // The transaction `scan` belongs to: its own, or for ACK that of the INVITE. 0: none.
  SlotId find(const PreScan& scan) const;
  // What find() looks for, as a keyed hash: for tables that remember requests without a transaction.
  std::uint64_t hash_of(const PreScan& scan) const;
  // The INVITE transaction a CANCEL means (section 9.2). 0: none.
  SlotId find_cancelled(const PreScan& scan) const;
  // Another transaction has the same Call-ID, CSeq and From tag: the request arrived twice by different ways
  // (section 8.2.2.2). Only asked for requests outside dialogs.
  bool is_merged(const PreScan& scan) const;

  // Only when not full().
  SlotId start(const PreScan& scan, const Hop& reply_to, const Owner& owner, Instant now);
  void set_owner(SlotId id, const Owner& owner);
  Owner owner(SlotId id);
  // No final response has been sent, and the transaction lives.
  bool open(SlotId id);

  // The request came again: answers from memory.
  void on_request(SlotId id, Instant now);
  // An ACK that names the INVITE's transaction: of a refusal, the same again, or of a 2xx, which is the dialog's.
  enum class Ack : std::uint8_t { OfRefusal, Again, OfAnswer };
  Ack on_ack(SlotId id, Instant now);
  // Sends a response. False: the transaction is gone or already answered; nothing was sent.
  bool answer(SlotId id, int status, Wire bytes, Instant now);

  Instant next_deadline() const noexcept { return table_.next_deadline(); }
  // Runs due timers. Returns how many non-2xx answers were never acknowledged (timer H).
  std::size_t on_timer(Instant now);

 private:
  struct Transaction {
    Machine machine;
    Hop reply_to;
    Owner owner;
    Wire last;  // last response sent; dropped once nothing can ask for it again
    std::string key;
    std::string merge_key;  // empty inside dialogs
  };

  std::string key_of(const PreScan& scan, std::string_view method) const;
  // An ACK of a refusal names the INVITE.
  static std::string_view method_of(const PreScan& scan) { return scan.method == "ACK" ? std::string_view("INVITE") : scan.method; }
  static std::string merge_key_of(const PreScan& scan);
  void settle(SlotId id, Transaction& transaction);

  const TimerConfig& timers_;
  const HashKey key_;
  Outbox& outbox_;
  SlotTable<Transaction> table_;
  KeyedIndex index_;
  KeyedIndex merged_;
};

}  // namespace ifgw::sip
