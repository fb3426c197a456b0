#include "engine/packed/packed_tokenizer.h"

#include <string_view>
#include <utility>
#include <vector>

#include "engine/packed/bytes.h"
#include "engine/packed/packed_file.h"

namespace midge {
namespace {

enum AddedFlag : uint8_t {
  kSingleWord = 1,
  kLstrip = 2,
  kRstrip = 4,
  kNormalized = 8,
  kSpecial = 16,
};
constexpr uint8_t kAddedFlags = 31;

uint8_t flags_of(const AddedToken& token) {
  return static_cast<uint8_t>((token.single_word ? kSingleWord : 0) | (token.lstrip ? kLstrip : 0) |
                              (token.rstrip ? kRstrip : 0) | (token.normalized ? kNormalized : 0) |
                              (token.special ? kSpecial : 0));
}

// A hash function for the tables of a file: one that follows from the tokens. Whoever made these
// could not know it while choosing them.
SeededHash hash_of(const TokenizerTables& tables) {
  const std::span<const char> bytes = tables.vocabulary.bytes;
  const ContentHash hash =
      hash_bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  const auto word = [&](uint64_t number) {
    const uint64_t words[3] = {hash[0], hash[1], number};
    return short_hash({reinterpret_cast<const uint8_t*>(words), sizeof(words)});
  };
  SeededHash::Parameters parameters;
  parameters.base = word(0) % ((uint64_t{1} << 61) - 1);
  parameters.factor = static_cast<SeededHash::Wide>(word(1)) << 64 | word(2);
  parameters.summand = static_cast<SeededHash::Wide>(word(3)) << 64 | word(4);
  return SeededHash(parameters);
}

void write_hash(const SeededHash& hash, ByteWriter& out) {
  const SeededHash::Parameters& parameters = hash.parameters();
  out.number(parameters.base);
  for (const SeededHash::Wide wide : {parameters.factor, parameters.summand}) {
    out.number(static_cast<uint64_t>(wide));
    out.number(static_cast<uint64_t>(wide >> 64));
  }
}

SeededHash read_hash(ByteReader& in) {
  SeededHash::Parameters parameters;
  parameters.base = in.number<uint64_t>() % ((uint64_t{1} << 61) - 1);
  for (SeededHash::Wide* wide : {&parameters.factor, &parameters.summand}) {
    const auto low = in.number<uint64_t>();
    *wide = static_cast<SeededHash::Wide>(in.number<uint64_t>()) << 64 | low;
  }
  return SeededHash(parameters);
}

// Numbers of enumerations, which are the file's too.
bool read_enums(ByteReader& in, TokenizerTables& tables) {
  const auto family = in.number<uint8_t>();
  const auto pattern = in.number<uint8_t>();
  tables.family = static_cast<TokenizerFamily>(family);
  tables.pretokenizer.pattern = static_cast<PretokenizerPattern>(pattern);
  return family <= static_cast<uint8_t>(TokenizerFamily::kSentencepiece) &&
         pattern <= static_cast<uint8_t>(PretokenizerPattern::kSmollm);
}

bool read_added(ByteReader& in, std::vector<AddedToken>& added) {
  const auto count = in.number<uint32_t>();
  for (uint32_t i = 0; i < count && in.ok(); ++i) {
    AddedToken token;
    token.id = in.number<int32_t>();
    const auto flags = in.number<uint8_t>();
    if ((flags & ~kAddedFlags) != 0) return false;
    token.single_word = (flags & kSingleWord) != 0;
    token.lstrip = (flags & kLstrip) != 0;
    token.rstrip = (flags & kRstrip) != 0;
    token.normalized = (flags & kNormalized) != 0;
    token.special = (flags & kSpecial) != 0;
    token.content = in.text();
    added.push_back(std::move(token));
  }
  return in.ok();
}

}  // namespace

Result<std::string> write_packed_tokenizer(const Tokenizer& source) {
  MIDGE_ASSIGN_OR_RETURN(const Tokenizer tokenizer, source.with_hash(hash_of(source.tables())));
  const TokenizerTables tables = tokenizer.tables();
  ByteWriter out;
  out.number(static_cast<uint8_t>(tables.family));
  out.number(static_cast<uint8_t>(tables.pretokenizer.pattern));
  out.flag(tables.pretokenizer.long_s);
  out.flag(tables.ignore_merges);
  out.flag(tables.nfc);
  out.flag(tables.rules.space_prefix);
  out.flag(tables.rules.remove_extra_whitespaces);
  out.flag(tables.add_bos);
  out.number(tables.bos_id);
  out.number(tables.eos_id);
  out.text(tables.chat_template);
  out.array(tables.stop_ids);
  out.number(static_cast<uint32_t>(tables.added.size()));
  for (const AddedToken& token : tables.added) {
    out.number(token.id);
    out.number(flags_of(token));
    out.text(token.content);
  }
  write_hash(tables.vocabulary.hash, out);
  out.array(tables.vocabulary.bytes);
  out.array(tables.vocabulary.offsets);
  out.array(tables.vocabulary.lengths);
  out.array(tables.vocabulary.kinds);
  out.array(tables.vocabulary.slots);
  out.array(tables.vocabulary.byte_tokens);
  out.array(tables.merges);
  return out.bytes();
}

Result<Tokenizer> read_packed_tokenizer(const std::string& name, std::span<const uint8_t> section,
                                        std::shared_ptr<const void> storage) {
  ByteReader in(section);
  TokenizerTables tables;
  const bool known = read_enums(in, tables);
  tables.pretokenizer.long_s = in.flag();
  tables.ignore_merges = in.flag();
  tables.nfc = in.flag();
  tables.rules.space_prefix = in.flag();
  tables.rules.remove_extra_whitespaces = in.flag();
  tables.add_bos = in.flag();
  tables.bos_id = in.number<int32_t>();
  tables.eos_id = in.number<int32_t>();
  tables.chat_template = in.text();
  tables.stop_ids = in.array<int32_t>();
  std::vector<AddedToken> added;
  const bool whole = known && read_added(in, added);
  tables.added = added;
  tables.vocabulary.hash = read_hash(in);
  tables.vocabulary.bytes = in.array<char>();
  tables.vocabulary.offsets = in.array<uint32_t>();
  tables.vocabulary.lengths = in.array<uint16_t>();
  tables.vocabulary.kinds = in.array<TokenKind>();
  tables.vocabulary.slots = in.array<int32_t>();
  tables.vocabulary.byte_tokens = in.array<int32_t>();
  tables.merges = in.array<MergeSlot>();
  if (!whole || !in.at_end()) {
    return with_file_name(
        name, make_status(StatusCode::kInvalidFile,
                          "section 'tokenizer' ends or goes wrong at byte %zu", in.position()));
  }
  Result<Tokenizer> tokenizer = Tokenizer::from_tables(tables, std::move(storage));
  if (!tokenizer.ok()) {
    return with_file_name(name, Status(tokenizer.status().code(),
                                       "section 'tokenizer': " + tokenizer.status().message()));
  }
  return tokenizer;
}

}  // namespace midge
