// One machine's disk: what programs see (the page cache) and what a power cut leaves, side by side.
//   content   durable once synced; until then a power cut keeps any subset of the written 512-byte sectors,
//   may
//             tear one of them, and may keep a new size without its data (zeros or stale blocks show).
//   names     durable once their directory is synced; until then each create, rename and remove is kept or
//   lost.
// A killed process loses nothing of this; only crash() does. A failed sync leaves pages that look clean and
// never reach the disk: drop_cache shows the truth, as does a power cut. Every call is counted, may be
// recorded, and may be made to fail or to cut the power (`fault`).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "sim/image.h"

namespace raftd::sim {

enum class DiskOp : uint8_t {
    open,
    read,
    write,
    sync,
    sync_dir,
    rename,
    remove,
    make_dir,
    resize,
    fill,
    allocate,
    list,
    drop_cache,
};
const char* text_of(DiskOp op);

struct DiskCall {
    DiskOp op;
    std::string_view path;
    uint64_t offset = 0, bytes = 0;
    bool makes = false;  // an open that makes the file, or empties it
};
/// What becomes of one call. `error`: it fails, nothing is done (a sync: subset done, pages clean).
/// `cut_power`: nothing is done and the machine is dead from here on. `bytes_max`: a write or read is short.
/// `lie`: a sync that says it is done and does nothing, as a disk without one or a forgotten call.
struct Verdict {
    int error = 0;
    bool cut_power = false;
    uint64_t bytes_max = UINT64_MAX;
    bool lie = false;
};

/// Chances for each thing that wasn't synced. The defaults make every order and subset possible.
struct CrashPolicy {
    double keep_sector = 0.5;
    double keep_name = 0.5;
    double keep_size = 0.5;
    double tear = 0.5;   // that one kept or lost sector is torn at a byte
    double stale = 0.2;  // that a sector which never reached its new place shows a freed block's content
    static CrashPolicy keep_all() { return {1, 1, 1, 0, 0}; }
    static CrashPolicy lose_all() { return {0, 0, 0, 0, 0}; }
    /// One of: lose all, keep all, each in between.
    static CrashPolicy draw(Random& random);
};

/// Decides what a power cut keeps of what wasn't synced. Asked in a fixed order, which depends on the disk
/// and on the answers so far only: the same answers make the same disk.
class CrashChoices {
public:
    enum class What : uint8_t {
        name,         // 1: this change of a name is kept
        size,         // 1: so is the new size that this write gave its file; one option: it gave none
        tear,         // in which pending write a sector is torn; as many as there are: in none
        torn_sector,  // which one of it
        torn_byte,    // how much of it is kept
        sector,       // 1: this one is kept
        stale,        // 1: one that is lost, where nothing was before, shows a freed block's content
        stale_block,  // which
    };
    virtual ~CrashChoices() = default;
    /// One of 0 .. options - 1. Requires: options > 0.
    virtual uint64_t choose(What what, uint64_t options) = 0;
};

/// One file or directory, independent of its names.
struct Inode {
    struct Pending {  // a write that isn't synced; no data: zeros, or only a new size
        uint64_t offset, bytes, size_after;
        std::vector<std::byte> data;
    };
    bool directory = false;
    Image visible, durable;
    std::vector<Pending> pending;
    std::string path;  // as it was opened last, for the record of calls
};
using InodeRef = std::shared_ptr<Inode>;

class SimStorage {
public:
    SimStorage();
    /// A copy is an image of the whole disk, for copied and rolled-back machines. Hooks don't go with it.
    SimStorage(const SimStorage& other);
    SimStorage& operator=(const SimStorage& other);
    SimStorage(SimStorage&&) = default;
    SimStorage& operator=(SimStorage&&) = default;

    // The calls of a program. Errors are errno values; 0 is done.
    InodeRef open(std::string_view path, bool create, bool exclusive, bool truncate, int& error);
    int read(Inode& file, uint64_t offset, MutableBytes into, uint64_t& bytes);
    int write(Inode& file, uint64_t offset, ByteView content, uint64_t& bytes);
    int fill(Inode& file, uint64_t from, uint64_t to, DiskOp op);
    int resize(Inode& file, uint64_t bytes);
    int sync(Inode& file);
    int sync_dir(std::string_view path);
    int rename(std::string_view from, std::string_view to);
    int remove(std::string_view path);
    int make_dir(std::string_view path);
    int drop_cache(Inode& file);
    std::vector<std::string> list(std::string_view dir, int& error);
    uint64_t free_bytes() const;

    // What happens to the machine.
    /// The power goes and comes back: visible is from now on what the disk kept.
    void crash(CrashChoices& choices);
    void crash(Random& random, const CrashPolicy& policy);
    /// True from a cut_power verdict until crash(): every call fails without effect.
    bool dead() const { return dead_; }
    void cut_power() { dead_ = true; }
    /// Rot at rest: the bit changes on the disk and in what is seen.
    bool flip_bit(std::string_view path, uint64_t byte, int bit);
    /// The same for whole bytes; what lies behind the file's end is cut off.
    void overwrite(std::string_view path, uint64_t offset, ByteView bytes);
    void set_capacity(uint64_t bytes) { capacity_ = bytes; }
    bool limited() const { return capacity_ != UINT64_MAX; }
    void set_room(uint64_t bytes) { capacity_ = used_ + bytes; }  // that much more fits from now on

    // For tests and checkers.
    std::vector<std::string> paths() const;          // files one can see
    std::vector<std::string> durable_paths() const;  // files whose names are on the disk
    size_t names() const { return visible_.size(); }
    uint64_t size_of(std::string_view path) const;  // 0 when there is none
    /// Bytes on the disk now, whatever a program sees.
    std::vector<std::byte> durable_bytes(std::string_view path) const;
    std::vector<std::byte> visible_bytes(std::string_view path) const;
    bool has_unsynced() const;
    uint64_t calls() const { return calls_; }
    void record_calls(bool on) { recording_ = on; }
    struct Recorded {
        DiskOp op;
        std::string path;
        uint64_t offset, bytes;
    };
    const std::vector<Recorded>& recorded() const { return recorded_; }
    /// Asked before each call with its number (the first is 1).
    std::function<Verdict(uint64_t number, const DiskCall& call)> fault;

private:
    struct NameChange {  // not synced yet; `to` of a rename, `inode` of a create or rename
        enum Kind : uint8_t { create, rename, remove } kind;
        std::string path, to;
        InodeRef inode;
    };
    using Names = std::map<std::string, InodeRef, std::less<>>;

    Verdict begin(const DiskCall& call);
    bool has_parent(std::string_view path) const;
    bool grow_allowed(const Inode& file, uint64_t size) const;
    void add_used(uint64_t before, uint64_t after);
    void bury(const Inode& file);
    void crash_content(Inode& file, CrashChoices& choices);
    static void crash_sector(Inode& file, const Inode::Pending& write, uint64_t from, uint64_t to);
    static void apply(Names& names, const NameChange& change);
    static void move_children(Names& names, const std::string& from, const std::string& to);
    void count_used();

    Names visible_, durable_;
    std::vector<NameChange> changes_;
    std::vector<BlockRef> graveyard_;  // blocks of removed files, what "stale" shows
    uint64_t capacity_ = UINT64_MAX, used_ = 0, calls_ = 0;
    bool dead_ = false, recording_ = false;
    std::vector<Recorded> recorded_;
};

}  // namespace raftd::sim
