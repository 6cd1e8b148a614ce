// A growing first-in first-out queue in one block of memory: pushes at the back, pops at the front, and is
// indexed from the front. Copies like a value; allocates only when it outgrows what it ever held.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace raftd::raft {

template <class T>
class Ring {
public:
    bool empty() const { return size_ == 0; }
    size_t size() const { return size_; }
    T& operator[](size_t at) { return slots_[(head_ + at) & (slots_.size() - 1)]; }
    const T& operator[](size_t at) const { return slots_[(head_ + at) & (slots_.size() - 1)]; }
    T& front() { return (*this)[0]; }
    const T& front() const { return (*this)[0]; }
    T& back() { return (*this)[size_ - 1]; }
    const T& back() const { return (*this)[size_ - 1]; }
    void push_back(T value) {
        if (size_ == slots_.size()) grow();
        slots_[(head_ + size_) & (slots_.size() - 1)] = std::move(value);
        ++size_;
    }
    void pop_front() {
        head_ = (head_ + 1) & (slots_.size() - 1);
        --size_;
    }
    void pop_back() { --size_; }
    void clear() { head_ = size_ = 0; }

private:
    void grow() {
        std::vector<T> wider(slots_.empty() ? 16 : slots_.size() * 2);
        for (size_t at = 0; at < size_; ++at) wider[at] = std::move((*this)[at]);
        slots_ = std::move(wider);
        head_ = 0;
    }

    std::vector<T> slots_;  // a power of two, so that positions wrap by a mask
    size_t head_ = 0, size_ = 0;
};

}  // namespace raftd::raft
