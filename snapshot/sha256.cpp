#include "snapshot/sha256.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace raftd::snapshot {

struct Sha256Hasher::Context {
    EVP_MD_CTX* md = EVP_MD_CTX_new();
    Context() { begin(); }
    ~Context() { EVP_MD_CTX_free(md); }
    void begin() const { CHECK_EQ(EVP_DigestInit_ex(md, EVP_sha256(), nullptr), 1); }
};

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>()) {}
Sha256Hasher::~Sha256Hasher() = default;
Sha256Hasher::Sha256Hasher(Sha256Hasher&&) noexcept = default;
Sha256Hasher& Sha256Hasher::operator=(Sha256Hasher&&) noexcept = default;

void Sha256Hasher::add(ByteView bytes) {
    CHECK_EQ(EVP_DigestUpdate(context_->md, bytes.data(), bytes.size()), 1);
}

Sha256 Sha256Hasher::result() {
    Sha256 sum;
    unsigned bytes = 0;
    CHECK_EQ(EVP_DigestFinal_ex(context_->md, reinterpret_cast<unsigned char*>(sum.data()), &bytes), 1);
    CHECK_EQ(bytes, sum.size());
    context_->begin();
    return sum;
}

}  // namespace raftd::snapshot
