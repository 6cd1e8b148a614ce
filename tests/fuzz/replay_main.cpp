// Runs a fuzz target without a fuzzer: over the files given, and over damaged copies of them (each byte
// changed, each prefix), so that every build's tests keep the targets alive. Exits by signal on a finding.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {
void run(const std::vector<uint8_t>& bytes) {
    const std::vector<uint8_t> copy(bytes);  // its own allocation: a sanitizer sees one byte too many
    LLVMFuzzerTestOneInput(copy.data(), copy.size());
}
}  // namespace

int main(int argc, char** argv) {
    int inputs = 0;
    for (int i = 1; i < argc; ++i) {
        for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
            std::ifstream in(entry.path(), std::ios::binary);
            const std::string text((std::istreambuf_iterator<char>(in)), {});
            std::vector<uint8_t> bytes(text.begin(), text.end());
            run(bytes);
            for (size_t at = 0; at < bytes.size(); ++at) {
                run({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at)});
                const uint8_t whole = bytes[at];
                for (const int change : {0x01, 0x80, 0xff}) {
                    bytes[at] = static_cast<uint8_t>(whole ^ change);
                    run(bytes);
                }
                bytes[at] = whole;
            }
            ++inputs;
        }
    }
    std::printf("%d inputs, each damaged at every byte and cut at every length\n", inputs);
    return inputs > 0 ? 0 : 1;
}
