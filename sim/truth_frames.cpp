// What members say to each other, as Truth sees it: promises (I2, I10), proofs of reads (I19), who is told
// that it was removed.
#include "proto/control.pb.h"
#include "proto/peer.h"
#include "sim/describe.h"
#include "sim/truth.h"

namespace raftd::sim {

void Truth::sent(uint32_t from, uint32_t to, io::ConnClass, const proto::FrameHeader& header,
                 ByteView payload) {
    using proto::FrameType;
    if (from == 0 || from >= members_.size()) return;
    switch (static_cast<FrameType>(header.type)) {
        case FrameType::hello_no: {
            pb::HelloNo no;
            const ByteView message = proto::message_in(payload);
            if (no.ParseFromArray(message.data(), static_cast<int>(message.size())) &&
                no.code() == pb::HelloNo::OTHER_CLUSTER)
                reached_.hit(Reach::other_cluster_told);
            break;
        }
        case FrameType::append_entries: {
            proto::AppendEntries append;
            if (!proto::read_fixed(payload, append)) break;
            said_term(from, Term{append.term});
            reads_.asked(from, Term{append.term}, append.round, kernel_.now());
            break;
        }
        case FrameType::append_ok: {
            proto::AppendOk ok;
            if (!proto::read_fixed(payload, ok)) break;
            check_not_stale(from);
            said_term(from, Term{ok.term});
            Member& member = members_[from];
            // Of the term before, said in the very turn in which a new leader's message cut it off.
            if (Term{ok.term} < member.term && ok.match > member.cut_to &&
                ok.match <= member.last_before_turn)
                break;
            if (ok.match >= member.chains.size())
                violated(from, "acknowledged entry " + std::to_string(ok.match) + " in term " +
                                   std::to_string(ok.term) + ", and its log ends at " +
                                   std::to_string(member.chains.size() - 1));
            if (ok.match > member.ok_index)
                member.ok_index = ok.match, member.ok_chain = member.chains[ok.match];
            if (on_promise) on_promise(from, false);
            break;
        }
        case FrameType::append_no: {
            proto::AppendNo no;
            if (!proto::read_fixed(payload, no)) break;
            said_term(from, Term{no.term});
            if (no.why == 0) reached_.hit(Reach::append_refused);
            break;
        }
        case FrameType::vote: {
            proto::Vote vote;
            if (!proto::read_fixed(payload, vote) || (vote.flags & 1) != 0) break;
            check_not_stale(from);
            said_term(from, Term{vote.term});
            said_vote(from, Term{vote.term}, NodeId{from});
            if (on_promise) on_promise(from, true);
            break;
        }
        case FrameType::vote_ok: {
            proto::VoteOk vote;
            if (!proto::read_fixed(payload, vote)) break;
            if ((vote.flags & 2) == 0) check_removed(from, to, Index{vote.removed_at});
            if ((vote.flags & 1) != 0) break;
            said_term(from, Term{vote.term});
            if ((vote.flags & 2) == 0) {
                reached_.hit(Reach::vote_refused);
                break;
            }
            check_not_stale(from);
            said_vote(from, Term{vote.term}, NodeId{to});
            if (on_promise) on_promise(from, true);
            break;
        }
        case FrameType::read_index_ok: {
            proto::ReadIndexOk ok;
            if (!proto::read_fixed(payload, ok) || ok.ok == 0) break;
            auto proves = [&](NodeId id) {
                return reads_.proves(from, Term{ok.term}, static_cast<uint32_t>(raw(id)), to, ok.id);
            };
            if (!majority_at(from, proves))
                violated(from, "confirmed a read of member " + std::to_string(to) +
                                   " without a majority's replies to what it sent after the read came");
            break;
        }
        default: break;
    }
}

void Truth::arrived_at_member(uint32_t from, uint32_t to, const proto::FrameHeader& header,
                              ByteView payload) {
    using proto::FrameType;
    switch (static_cast<FrameType>(header.type)) {
        case FrameType::append_ok: {
            proto::AppendOk ok;
            if (proto::read_fixed(payload, ok)) reads_.echoed(to, from, Term{ok.term}, ok.round);
            break;
        }
        case FrameType::append_no: {
            proto::AppendNo no;
            if (proto::read_fixed(payload, no)) reads_.echoed(to, from, Term{no.term}, no.round);
            break;
        }
        case FrameType::read_index: {
            proto::ReadIndex ask;
            if (proto::read_fixed(payload, ask)) reads_.read_came(to, from, ask.id, kernel_.now());
            break;
        }
        default: break;
    }
}

void Truth::arrived(uint32_t from, uint32_t to, const proto::FrameHeader& header, ByteView payload) {
    if (from < members_.size() && to < members_.size()) arrived_at_member(from, to, header, payload);
    if (on_frame)
        on_frame(from, to, describe_frame(header, payload) + " #" + std::to_string(header.checksum));
}

}  // namespace raftd::sim
