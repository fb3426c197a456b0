#include "engine/tokenizer_files/tokenizer_model.h"

#include <map>
#include <utility>

#include "engine/core/mapped_file.h"
#include "engine/core/visible.h"
#include "engine/formats/json.h"
#include "engine/tokenizer_files/sentencepiece_library.h"
#include "engine/tokenizer_files/sentencepiece_model.h"
#include "engine/tokenizer_files/tokenizer_config.h"

namespace midge {
namespace {

// Pieces that no text produces become added tokens, as in Hugging Face's libraries. bos and eos are
// those of a model without tokenizer_config.json.
Status add_pieces(const SentencepieceModel& model, TokenizerDefinition* definition) {
  for (size_t i = 0; i < model.pieces.size(); ++i) {
    const SentencepieceModel::Piece& piece = model.pieces[i];
    const auto id = static_cast<int32_t>(i);
    if (piece.type == PieceType::kUnused) definition->has_unused_pieces = true;
    if (piece.type != PieceType::kControl && piece.type != PieceType::kUnknown) {
      definition->vocabulary.push_back(
          {id, piece.text, piece.type == PieceType::kByte, piece.score});
      continue;
    }
    AddedToken token;
    token.id = id;
    token.content = piece.text;
    token.special = true;
    MIDGE_RETURN_IF_ERROR(with_file_name(definition->name, definition->add(std::move(token))));
    if (piece.text == "<s>") definition->bos_id = id;
    if (piece.text == "</s>") definition->eos_id = id;
  }
  definition->add_bos = definition->bos_id >= 0;
  return Status();
}

// Older directories list added tokens without flags.
Status read_added_tokens(const std::string& name, std::string_view text,
                         TokenizerDefinition* definition) {
  MIDGE_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::parse(name, text));
  MIDGE_ASSIGN_OR_RETURN(const JsonObject root, document.root());
  std::map<int32_t, std::string> known;
  for (const AddedToken& token : definition->added) known[token.id] = token.content;
  for (const auto member : root.members()) {
    int64_t id = -1;
    const bool is_integer = member.value.get_int64().get(id) == simdjson::SUCCESS;
    if (!is_integer || id < 0 || id >= kVocabularySizeMax) {
      return make_status(StatusCode::kInvalidFile,
                         "%s: the id of token '%s' is not an integer in 0..%lld", name.c_str(),
                         printable(member.key).c_str(),
                         static_cast<long long>(kVocabularySizeMax - 1));
    }
    AddedToken token;
    token.id = static_cast<int32_t>(id);
    token.content = member.key;
    const auto found = known.find(token.id);
    if (found != known.end() && found->second == token.content) continue;
    MIDGE_RETURN_IF_ERROR(with_file_name(name, definition->add(std::move(token))));
  }
  return Status();
}

}  // namespace

Result<Tokenizer> parse_tokenizer_model(const TokenizerModelFiles& files) {
  MIDGE_ASSIGN_OR_RETURN(const SentencepieceModel model,
                         parse_sentencepiece_model(files.name, files.model));
  TokenizerDefinition definition;
  definition.name = files.name;
  definition.family = TokenizerFamily::kSentencepiece;
  definition.rules.space_prefix = model.space_prefix;
  definition.rules.remove_extra_whitespaces = model.remove_extra_spaces;
  if (!has_sentencepiece_library()) {
    return make_sentencepiece_encoder(files.name, model).status();
  }
  definition.make_encoder = [&] { return make_sentencepiece_encoder(files.name, model); };
  MIDGE_RETURN_IF_ERROR(add_pieces(model, &definition));
  if (!files.added.empty()) {
    MIDGE_RETURN_IF_ERROR(read_added_tokens(files.added_name, files.added, &definition));
  }
  if (!files.config.empty()) {
    MIDGE_RETURN_IF_ERROR(read_tokenizer_config(files.config_name, files.config, &definition));
  }
  if (!files.chat_template.empty()) definition.chat_template = files.chat_template;
  return Tokenizer::create(definition);
}

Result<Tokenizer> load_tokenizer_model(const std::string& directory) {
  TokenizerModelFiles files;
  files.name = join_path(directory, "tokenizer.model");
  files.added_name = join_path(directory, "added_tokens.json");
  MIDGE_ASSIGN_OR_RETURN(const std::string model,
                         read_small_file(files.name, kTokenizerModelBytesMax));
  files.model = model;
  std::string added;
  if (is_regular_file(files.added_name)) {
    MIDGE_ASSIGN_OR_RETURN(added, read_small_file(files.added_name, kAddedTokensJsonBytesMax));
  }
  files.added = added;
  files.name = shown_path(files.name);
  files.added_name = shown_path(files.added_name);
  MIDGE_ASSIGN_OR_RETURN(const TokenizerConfigFiles config, load_tokenizer_config(directory));
  files.config_name = config.name;
  files.config = config.config;
  files.chat_template = config.chat_template;
  return parse_tokenizer_model(files);
}

}  // namespace midge
