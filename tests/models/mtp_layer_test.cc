// The MTP layer as packed and as laid over: which hidden states it reads, and whose weights it has.
#include <filesystem>

#include <gtest/gtest.h>

#include "api/loaded_model.h"
#include "api/model_cache.h"
#include "api/mtp_acceptance.h"
#include "api/packing.h"
#include "engine/packed/packed_acceptance.h"
#include "engine/packed/packed_model.h"
#include "engine/scheduler/generate.h"
#include "tests/harness/edited_tensors.h"
#include "tests/harness/golden.h"
#include "tests/harness/packed_files.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::EditedTensors;

const std::string kModel = MIDGE_SOURCE_DIR "/assets/models/tiny-mimo";
constexpr const char* kLayer = "model.mtp_layers.0.";

class MtpLayer : public testing::Test {
 protected:
  // A copy of tiny-mimo with other tensors.
  std::string write_model(const std::string& name, const EditedTensors& tensors) {
    const std::string folder = dir_.file(name);
    std::filesystem::copy(kModel, folder);
    dir_.write(name + "/model.safetensors", tensors.bytes());
    return folder;
  }

  std::string pack(const std::string& source, const std::string& mtp_file = "",
                   const char* recipe = "fast") {
    PackingOptions options;
    options.recipe = *recipe_from_name(recipe);
    options.threads = 2;
    options.mtp_file = mtp_file;
    const std::string out = dir_.file(std::to_string(++packed_) + ".midge");
    Status tokenizer;
    const auto packed = pack_file(source, out, options, &tokenizer);
    EXPECT_TRUE(packed.ok()) << packed.status().message();
    return out;
  }

  MtpAcceptance acceptance_of(const std::string& path) {
    const auto file = PackedFile::open(path);
    EXPECT_TRUE(file.ok()) << file.status().message();
    if (!file.ok()) return {};
    EXPECT_EQ((*file)->verify().message(), "");
    const auto acceptance = read_acceptance(**file);
    EXPECT_TRUE(acceptance.ok()) << acceptance.status().message();
    return acceptance.ok() ? *acceptance : MtpAcceptance();
  }

  // Drafts that were right of those that the layer made in 60 tokens, and the tokens.
  struct Answer {
    std::vector<int32_t> tokens;
    int64_t read = 0;
    int64_t right = 0;

    double share() const { return static_cast<double>(right) / static_cast<double>(read); }
  };
  Answer answer(const std::string& path, const std::string& mtp_file = "") {
    LoadOptions load;
    load.mtp_file = mtp_file;
    load.executor.threads = 2;
    load.executor.context_max = 128;
    load.executor.rows_max = 64;
    const auto loaded = LoadedModel::open(path, load);
    EXPECT_TRUE(loaded.ok()) << loaded.status().message();
    if (!loaded.ok()) return {};
    SequenceOptions sequence;
    sequence.context_length = 128;
    sequence.kv_page_tokens = kDraftPageTokens;
    sequence.mtp = true;
    DraftOptions drafts;
    drafts.drafter = Drafter::kMtp;
    drafts.always = true;
    const auto session = (*loaded)->new_session(sequence);
    auto speculation = Speculation::create((*loaded)->executor(), drafts, 1);
    EXPECT_TRUE(session.ok() && speculation.ok());
    GenerateOptions generation;
    generation.tokens_max = 60;
    const auto result = generate(**session, (*loaded)->tokenizer(), (*loaded)->allowed_tokens(),
                                 *(*loaded)->encode_prompt("Once upon a time"), generation, nullptr,
                                 speculation->get());
    EXPECT_TRUE(result.ok()) << result.status().message();
    Answer answer;
    if (!result.ok()) return answer;
    for (const GeneratedToken& token : result->tokens) answer.tokens.push_back(token.token);
    answer.read = result->drafts.all_read();
    answer.right = result->drafts.all_drawn();
    return answer;
  }

  Status open_status(const std::string& path, const std::string& mtp_file) {
    LoadOptions load;
    load.mtp_file = mtp_file;
    load.makes_executor = false;
    return LoadedModel::open(path, load).status();
  }

  test::TempDir dir_;
  int packed_ = 0;
};

long long ll(int64_t value) { return value; }

// Half of the final norm's channels 256 times as large, and the columns behind it as small: the
// same model, but for the states behind the norm.
EditedTensors with_uneven_norm() {
  EditedTensors tensors(kModel + "/model.safetensors");
  for (int64_t i = 0; i < 192; i += 2) {
    tensors.scale_column("model.norm.weight", i, 256);
    tensors.scale_column(std::string(kLayer) + "final_layernorm.weight", i, 256);
    tensors.scale_column("lm_head.weight", i, 1.0f / 256);
  }
  return tensors;
}

TEST_F(MtpLayer, ReadsTheStatesThatServeIt) {
  EditedTensors tensors = with_uneven_norm();
  // Columns of such different sizes fit no common scale.
  const std::string before = pack(write_model("before", tensors), "", "half");
  MtpAcceptance acceptance = acceptance_of(before);
  EXPECT_FALSE(acceptance.takes_normed());
  EXPECT_GT(acceptance.before_norm.read, 50);
  EXPECT_GT(2 * acceptance.before_norm.right, acceptance.before_norm.read);
  std::printf("[ mtp ] uneven norm: %lld of %lld, %lld of %lld behind it\n",
              ll(acceptance.before_norm.right), ll(acceptance.before_norm.read),
              ll(acceptance.behind_norm.right), ll(acceptance.behind_norm.read));

  // The layer's own norm undoes it, and their common factor of about 181.
  const std::string norm = std::string(kLayer) + "hidden_layernorm.weight";
  for (int64_t i = 0; i < 192; ++i) tensors.scale_column(norm, i, i % 2 == 0 ? 0.5f : 128);
  const std::string behind = pack(write_model("behind", tensors), "", "half");
  acceptance = acceptance_of(behind);
  EXPECT_TRUE(acceptance.takes_normed());
  EXPECT_GT(2 * acceptance.behind_norm.right, acceptance.behind_norm.read);
  // Who opens the file drafts with these.
  EXPECT_GT(answer(behind).share(), 0.5);
  EXPECT_GT(answer(before).share(), 0.5);
}

TEST_F(MtpLayer, MeasuresTheSameOnEveryMachine) {
  // Also as arm64.
  const MtpAcceptance acceptance = acceptance_of(pack(kModel));
  EXPECT_EQ(acceptance, (MtpAcceptance{{65, 61}, {65, 61}}))
      << acceptance.before_norm.read << ' ' << acceptance.before_norm.right << ' '
      << acceptance.behind_norm.read << ' ' << acceptance.behind_norm.right;
}

TEST_F(MtpLayer, RefusesDamagedCounts) {
  const std::string whole = test::read_bytes(pack(kModel));
  for (const MtpAcceptance& wrong :
       {MtpAcceptance{{10, 11}, {10, 5}}, MtpAcceptance{{10, 5}, {-1, -1}},
        MtpAcceptance{{int64_t{1} << 40, 5}, {10, 5}}}) {
    std::vector<test::SectionBytes> parts = test::split_packed(whole);
    for (test::SectionBytes& part : parts) {
      if (part.name == kAcceptanceSection) part.bytes = write_acceptance(wrong);
    }
    const auto file = PackedFile::open(dir_.write("x.midge", test::join_packed(parts)));
    MIDGE_ASSERT_OK(file);
    const Status status = open_packed_model(*file).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidFile);
    EXPECT_NE(status.message().find("mtp-acceptance"), std::string::npos) << status.message();
  }
}

TEST_F(MtpLayer, IsLaidOver) {
  const std::string own_file = dir_.write("own.safetensors", [] {
    EditedTensors tensors(kModel + "/model.safetensors");
    tensors.keep(kLayer);
    return tensors.bytes();
  }());
  const std::string bad_file = dir_.write("bad.safetensors", [] {
    EditedTensors tensors(kModel + "/model.safetensors");
    tensors.keep(std::string(kLayer) + "input_proj");
    for (int64_t i = 0; i < 192; ++i) {
      tensors.scale_row(std::string(kLayer) + "input_proj.weight", i, i % 2 == 0 ? -1 : 64);
    }
    return tensors.bytes();
  }());
  const Answer own = answer(kModel);
  EXPECT_GT(own.share(), 0.5);
  const Answer same = answer(kModel, own_file);
  EXPECT_EQ(same.tokens, own.tokens);
  EXPECT_EQ(same.right, own.right);
  const Answer bad = answer(kModel, bad_file);
  EXPECT_EQ(bad.tokens, own.tokens);
  EXPECT_LT(bad.share(), 0.4);
  // Into a packed file too, whose layer is that one then.
  EXPECT_EQ(test::read_bytes(pack(kModel, own_file)), test::read_bytes(pack(kModel)));
  EXPECT_LT(answer(pack(kModel, bad_file)).share(), 0.4);

  // A model that lost its layer, as many that are saved anew, gets it back.
  EditedTensors without(kModel + "/model.safetensors");
  without.keep(kLayer, false);
  const std::string bare = write_model("bare", without);
  EXPECT_EQ(answer(bare, own_file).right, own.right);
}

TEST_F(MtpLayer, RefusesToLayOverWhatDoesNotFit) {
  EditedTensors tensors(kModel + "/model.safetensors");
  tensors.keep(std::string(kLayer) + "token_layernorm");
  const std::string fits = dir_.write("fits.safetensors", tensors.bytes());
  EXPECT_EQ(open_status(kModel, fits).message(), "");
  tensors.rename(std::string(kLayer) + "token_layernorm.weight", "model.norm.weight");
  const std::string other = dir_.write("other.safetensors", tensors.bytes());
  tensors.rename("model.norm.weight", std::string(kLayer) + "token_norm.weight");
  const std::string unknown = dir_.write("unknown.safetensors", tensors.bytes());
  const std::string packed = pack(kModel);
  struct Case {
    std::string path;
    std::string file;
    StatusCode code;
    const char* text;
  };
  for (const Case& c : {
           Case{kModel, other, StatusCode::kInvalidFile, "expected a name in model.mtp_layers.0."},
           Case{kModel, unknown, StatusCode::kModelMismatch, "token_norm.weight"},
           Case{kModel, dir_.file("none"), StatusCode::kNotFound, "none"},
           Case{kModel, kModel + "/config.json", StatusCode::kInvalidFile, "config.json"},
           Case{kModel, kModel + "/model.safetensors", StatusCode::kInvalidFile, "the same file"},
           Case{test::data_path("golden/gguf/phi4-f32.gguf"), fits, StatusCode::kUnsupported,
                "expected a Hugging Face folder"},
           Case{packed, fits, StatusCode::kInvalidArgument, "laid over a Hugging Face folder"},
           Case{MIDGE_SOURCE_DIR "/assets/models/tiny-phi", fits, StatusCode::kModelMismatch,
                "token_layernorm"},
       }) {
    const Status status = open_status(c.path, c.file);
    EXPECT_EQ(status.code(), c.code) << status.message();
    EXPECT_NE(status.message().find(c.text), std::string::npos) << status.message();
  }
}

TEST_F(MtpLayer, HasAPackedFileOfItsOwnInTheCache) {
  const std::string file = dir_.write("own.safetensors", [] {
    EditedTensors tensors(kModel + "/model.safetensors");
    tensors.keep(kLayer);
    return tensors.bytes();
  }());
  ModelCacheOptions cache;
  cache.folder = dir_.file("cache");
  cache.source_bytes_min = 1;
  PackingOptions packing;
  packing.threads = 2;
  const auto plain = cached_model(kModel, packing, cache);
  MIDGE_ASSERT_OK(plain);
  packing.mtp_file = file;
  const auto laid_over = cached_model(kModel, packing, cache);
  MIDGE_ASSERT_OK(laid_over);
  EXPECT_NE(*plain, *laid_over);
  EXPECT_EQ(*cached_model(kModel, packing, cache), *laid_over);
}

}  // namespace
}  // namespace midge
