// Packed files: they are the model, they open in place, and what is wrong with them is found.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "api/loaded_model.h"
#include "api/packing.h"
#include "engine/packed/packed_model.h"
#include "engine/packed/packed_quality.h"
#include "engine/packed/tensor_directory.h"
#include "engine/session/random.h"
#include "tests/harness/checkpoint.h"
#include "tests/harness/packed_files.h"
#include "tests/harness/running.h"
#include "tests/harness/temp_dir.h"

namespace midge {
namespace {

using test::Running;
using test::RunSetup;
using test::SectionBytes;

std::string bundled(const char* name) {
  return std::string(MIDGE_SOURCE_DIR "/assets/models/") + name;
}

// Null: as in the files.
WeightRecipe named(const char* recipe) {
  return recipe == nullptr ? WeightRecipe() : *recipe_from_name(recipe);
}

ContentHash pack(const std::string& source, const std::string& out, const char* recipe,
                 int threads = 2) {
  PackingOptions options;
  options.recipe = named(recipe);
  options.threads = threads;
  Status tokenizer;
  const auto packed = pack_file(source, out, options, &tokenizer);
  EXPECT_TRUE(packed.ok()) << packed.status().message();
  return packed.ok() ? packed->content_id : ContentHash();
}

// tiny-phi with 4 bits: every layout, and a tokenizer.
const std::string& tiny_phi_bytes() {
  static const std::string bytes = [] {
    const test::TempDir dir;
    pack(bundled("tiny-phi"), dir.file("phi.midge"), "fast");
    return test::read_bytes(dir.file("phi.midge"));
  }();
  return bytes;
}

Status open_all(const std::string& path) {
  const auto file = PackedFile::open(path);
  if (!file.ok()) return file.status();
  const auto model = open_packed_model(*file);
  if (!model.ok()) return model.status();
  return (*file)->find("tokenizer") == nullptr ? Status() : open_packed_tokenizer(*file).status();
}

// Matrices of `prepared` as bytes, by name.
std::map<std::string, std::string> matrix_bytes(const PreparedWeights& weights) {
  std::map<std::string, std::string> bytes;
  visit_linear_matrices(weights, [&](const std::string& name, const PreparedMatrix& w) {
    std::string& to = bytes[name];
    if (w.form == PreparedMatrix::Form::kTiles) {
      to.append(reinterpret_cast<const char*>(w.tiles.data), size_t(w.tiles.bytes()));
      if (w.tail.k > 0) {
        to.append(reinterpret_cast<const char*>(w.tail.data), size_t(w.tail.bytes()));
      }
    } else {
      to.append(static_cast<const char*>(w.rows.data), size_t(w.rows.bytes()));
    }
  });
  return bytes;
}

struct PackedCase {
  const char* name;  // of a bundled model, or a file of tests/data/golden
  const char* recipe;
};

class PackedFileOf : public testing::TestWithParam<PackedCase> {
 protected:
  std::string source() const {
    const std::string name = GetParam().name;
    return name.find('/') == std::string::npos ? bundled(GetParam().name)
                                               : test::data_path("golden/" + name);
  }
};

TEST_P(PackedFileOf, ComputesWhatItsSourceDoes) {
  const test::TempDir dir;
  const std::string path = dir.file("model.midge");
  const ContentHash id = pack(source(), path, GetParam().recipe);
  EXPECT_EQ(pack(source(), dir.file("again.midge"), GetParam().recipe, 1), id);
  EXPECT_TRUE(test::read_bytes(path) == test::read_bytes(dir.file("again.midge")));

  RunSetup setup = {.path = source(), .arithmetic = Arithmetic::kPacked};
  setup.recipe = named(GetParam().recipe);
  Running expected;
  test::open(setup, &expected);
  setup.path = path;
  setup.recipe.reset();
  Running found;
  test::open(setup, &found);
  if (HasFatalFailure()) return;
  EXPECT_TRUE(found.executor->packed().empty()) << "tiles are used in place";
  const auto theirs = matrix_bytes(*expected.executor->engine().weights);
  for (const auto& [name, bytes] : matrix_bytes(*found.executor->engine().weights)) {
    EXPECT_TRUE(bytes == theirs.at(name)) << name;
  }
  std::vector<std::pair<std::string, std::vector<float>>> vectors[2];
  for (const bool packed : {false, true}) {
    const Model& model = packed ? *found.model : *expected.model;
    visit_vectors(model.weights(), [&](const std::string& name, std::span<const float> vector) {
      vectors[packed ? 1 : 0].emplace_back(name, std::vector<float>(vector.begin(), vector.end()));
    });
  }
  EXPECT_TRUE(vectors[0] == vectors[1]);
  const std::vector<int32_t> tokens = test::random_tokens(40, expected.model->config().vocab_size);
  EXPECT_TRUE(test::step_logits(*expected.session, tokens) ==
              test::step_logits(*found.session, tokens));
  EXPECT_EQ(expected.model->parameter_count(), found.model->parameter_count());
  EXPECT_EQ(expected.model->mtp_parameter_count(), found.model->mtp_parameter_count());
  EXPECT_EQ(expected.model->config().eos_ids, found.model->config().eos_ids);
}

INSTANTIATE_TEST_SUITE_P(
    Files, PackedFileOf,
    testing::Values(
        PackedCase{"tiny-phi", "fast"}, PackedCase{"tiny-phi", "balanced"},
        PackedCase{"tiny-phi", "half"}, PackedCase{"tiny-mimo", "fast"},
        PackedCase{"tiny-mimo", "int8"}, PackedCase{"gguf/phi4-mini-q4_0.gguf", nullptr},
        PackedCase{"gguf/phi4-mini-q8_0.gguf", nullptr}, PackedCase{"gguf/phi4-f16.gguf", nullptr},
        PackedCase{"gguf/llama-f32.gguf", "fast"}, PackedCase{"models/mistral", nullptr}),
    [](const auto& parameter) {
      std::string name = parameter.param.name;
      std::replace_if(name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
      return name + "_" + (parameter.param.recipe == nullptr ? "as_it_is" : parameter.param.recipe);
    });

// The same on every machine: this test also runs as arm64.
TEST(PackedFile, HasTheSameBytesOnEveryMachine) {
  const test::TempDir dir;
  EXPECT_EQ(to_hex(pack(bundled("tiny-phi"), dir.file("phi.midge"), "fast")),
            "f2f9488092c3f5a964bfb0a65d8db208");
  EXPECT_EQ(to_hex(pack(bundled("tiny-mimo"), dir.file("mimo.midge"), "balanced")),
            "0e1edc6e32025d4998ae926d5e336157");
}

TEST(PackedFile, FloatWeightsGetFourBitsByDefault) {
  const test::TempDir dir;
  PackingOptions options;
  Status tokenizer;
  MIDGE_ASSERT_OK(pack_file(bundled("tiny-phi"), dir.file("phi.midge"), options, &tokenizer));
  EXPECT_TRUE(test::read_bytes(dir.file("phi.midge")) == tiny_phi_bytes());
}

TEST(PackedFile, IsReplacedAsAWhole) {
  const test::TempDir dir;
  const std::string path = dir.write("phi.midge", "something else");
  pack(bundled("tiny-phi"), path, "fast");
  EXPECT_TRUE(test::read_bytes(path) == tiny_phi_bytes());
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    files += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_EQ(files, 1u) << "nothing is left over";
}

TEST(PackedFile, IsNotWrittenOverItsSourceOrAFolder) {
  const test::TempDir dir;
  const std::string path = dir.write("phi.midge", tiny_phi_bytes());
  PackingOptions options;
  Status tokenizer;
  EXPECT_EQ(pack_file(path, dir.file("x.midge"), options, &tokenizer).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(pack_file(bundled("tiny-phi"), dir.path(), options, &tokenizer).status().code(),
            StatusCode::kInvalidArgument);
  const std::string gguf = test::data_path("golden/gguf/phi4-f32.gguf");
  EXPECT_EQ(pack_file(gguf, gguf, options, &tokenizer).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(pack_file(bundled("tiny-phi"), "/nowhere/x.midge", options, &tokenizer).status().code(),
            StatusCode::kNotFound);
  EXPECT_EQ(pack_file(bundled("tiny-phi"), "/proc/x.midge", options, &tokenizer).status().code(),
            StatusCode::kIoError);
}

TEST(PackedFile, RefusesOtherArithmeticAndEncodings) {
  const test::TempDir dir;
  const std::string path = dir.write("phi.midge", tiny_phi_bytes());
  const auto file = PackedFile::open(path);
  MIDGE_ASSERT_OK(file);
  const auto model = open_packed_model(*file);
  MIDGE_ASSERT_OK(model);
  ExecutorOptions options;
  options.arithmetic = Arithmetic::kFloat;
  EXPECT_EQ(Executor::create(**model, options).status().code(), StatusCode::kUnsupported);
  options.arithmetic = Arithmetic::kPacked;
  options.weights = Encoding::kQ8B32;
  EXPECT_EQ(Executor::create(**model, options).status().code(), StatusCode::kUnsupported);
}

// 200 flipped bits. Of everything but weights they are found when the file is opened, of weights by
// verify, which names the tensor; and until then the model runs.
TEST(PackedFile, FindsFlippedBits) {
  const std::string& whole = tiny_phi_bytes();
  const test::TempDir dir;
  const auto sections = PackedFile::open(dir.write("whole.midge", whole));
  MIDGE_ASSERT_OK(sections);
  const PackedSection& weights = *(*sections)->find("weights");
  const auto tensors = read_tensors((*sections)->bytes("tensors"));
  MIDGE_ASSERT_OK(tensors);
  constexpr uint64_t kFlips = 200;
  for (uint64_t i = 0; i < kFlips; ++i) {
    // Half of them anywhere before the weights, half in these.
    const uint64_t room = i % 2 == 0 ? weights.offset : weights.bytes;
    const uint64_t at = (i % 2 == 0 ? 0 : weights.offset) +
                        static_cast<uint64_t>(uniform_at(1, i) * static_cast<double>(room));
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (i % 8)));
    const std::string path = dir.write("damaged.midge", damaged);
    const Status opened = open_all(path);
    bool in_section = false;
    for (const PackedSection& section : (*sections)->sections()) {
      in_section = in_section || (at >= section.offset && at < section.offset + section.bytes);
    }
    const bool of_weights = at >= weights.offset;
    const bool in_header = at < sizeof(PackedHeader) + (*sections)->sections().size_bytes();
    if (of_weights || (!in_section && !in_header)) {
      EXPECT_TRUE(opened.ok()) << opened.message();
      const auto file = PackedFile::open(path);
      MIDGE_ASSERT_OK(file);
      const Status verified = verify_packed_model(**file);
      EXPECT_EQ(verified.code(), StatusCode::kInvalidFile) << at;
      if (!of_weights) continue;
      std::string name;
      for (const PackedTensor& tensor : *tensors) {
        const uint64_t first = weights.offset + tensor.offset;
        if (tensor.section == "weights" && at >= first && at < first + tensor.bytes) {
          name = "'" + tensor.name + "'";
        }
      }
      EXPECT_NE(verified.message().find(name), std::string::npos) << verified.message();
      if (i % 20 != 1) continue;
      Running run;
      test::open({.path = path, .arithmetic = Arithmetic::kPacked}, &run);
      if (HasFatalFailure()) return;
      test::step_logits(*run.session, test::random_tokens(3, 2048));
    } else {
      EXPECT_FALSE(opened.ok()) << at;
      EXPECT_NE(opened.code(), StatusCode::kInternal);
    }
  }
}

TEST(PackedFile, RefusesEveryTruncation) {
  const std::string& whole = tiny_phi_bytes();
  const test::TempDir dir;
  for (size_t size : {size_t{0}, size_t{7}, size_t{63}, size_t{64}, size_t{400}, size_t{16384},
                      whole.size() / 2, whole.size() - 1}) {
    const Status status = open_all(dir.write("cut.midge", whole.substr(0, size)));
    EXPECT_EQ(status.code(), StatusCode::kInvalidFile) << size << status.message();
  }
  EXPECT_EQ(open_all(dir.write("more.midge", whole + "x")).code(), StatusCode::kInvalidFile);
}

TEST(PackedFile, SkipsOptionalSectionsAndRefusesRequiredOnes) {
  const test::TempDir dir;
  std::vector<SectionBytes> parts = test::split_packed(tiny_phi_bytes());
  const auto id_of = [&](const std::string& name) {
    const auto file = PackedFile::open(dir.write(name, test::join_packed(parts)));
    EXPECT_TRUE(file.ok()) << file.status().message();
    return file.ok() ? (*file)->content_id() : ContentHash();
  };
  const ContentHash whole = id_of("whole.midge");
  EXPECT_TRUE(test::join_packed(parts) == tiny_phi_bytes());
  parts.push_back({"draft-head", 0, "of a later version"});
  EXPECT_EQ(id_of("optional.midge"), whole) << "not part of the identity";
  EXPECT_EQ(open_all(dir.file("optional.midge")).message(), "");
  parts.back().flags = kPackedIdentity;
  EXPECT_NE(id_of("identity.midge"), whole);
  parts.back().flags = kPackedRequired;
  const Status status = open_all(dir.write("required.midge", test::join_packed(parts)));
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("'draft-head'"), std::string::npos) << status.message();
}

TEST(PackedFile, SectionsOfALaterVersionAreNotThere) {
  const test::TempDir dir;
  std::vector<SectionBytes> parts = test::split_packed(tiny_phi_bytes());
  parts.push_back({"quality", 0, "of a later version", 2});
  const std::string path = dir.write("later.midge", test::join_packed(parts));
  const auto file = PackedFile::open(path);
  MIDGE_ASSERT_OK(file);
  EXPECT_EQ((*file)->find("quality"), nullptr);
  const auto qualities = read_packed_quality(**file);
  MIDGE_ASSERT_OK(qualities);
  EXPECT_TRUE(qualities->empty());
  parts.push_back({"quality", 0, "once more"});
  EXPECT_EQ(open_all(dir.write("twice.midge", test::join_packed(parts))).code(),
            StatusCode::kInvalidFile);
}

// Who may read it stays as it was, and a link stays one.
TEST(PackedFile, ReplacingItChangesNoPermissionsAndNoLink) {
  namespace fs = std::filesystem;
  const test::TempDir dir;
  const std::string path = dir.write("phi.midge", tiny_phi_bytes());
  const std::string link = dir.file("link.midge");
  fs::create_symlink(path, link);
  const PackedQuality prose = {"p", "r", 1000, 512, false, 1.5, 1.4, 0.07, 0.4, 0.85};
  for (const auto mode : {fs::perms::owner_read | fs::perms::group_read,
                          fs::perms::owner_read | fs::perms::owner_write}) {
    fs::permissions(path, mode);
    MIDGE_ASSERT_OK(keep_packed_quality(link, prose));
    EXPECT_EQ(fs::status(path).permissions(), mode);
  }
  EXPECT_TRUE(fs::is_symlink(link));
  const auto file = PackedFile::open(path);
  MIDGE_ASSERT_OK(file);
  EXPECT_EQ(read_packed_quality(**file)->size(), 1u);
}

TEST(PackedFile, IsNotAPipe) {
  const test::TempDir dir;
  const std::string path = dir.file("pipe.midge");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(is_packed_file(path));
}

TEST(PackedFile, IsNotMadeOfATokenizerThatDoesNotFit) {
  const test::TempDir dir;
  std::filesystem::copy(bundled("tiny-phi"), dir.file("model"));
  const std::string config = dir.file("model/tokenizer_config.json");
  std::filesystem::remove(config);
  dir.write("model/tokenizer_config.json",
            R"({"added_tokens_decoder":{"9000":{"content":"<far>","special":true}}})");
  Status tokenizer;
  const Status status = pack_file(dir.file("model"), dir.file("x.midge"), {}, &tokenizer).status();
  EXPECT_EQ(status.code(), StatusCode::kModelMismatch) << status.message();
  EXPECT_FALSE(std::filesystem::exists(dir.file("x.midge")));
}

TEST(PackedFile, KeepsWhatWasMeasured) {
  const test::TempDir dir;
  const std::string path = dir.write("phi.midge", tiny_phi_bytes());
  const auto opened = PackedFile::open(path);
  MIDGE_ASSERT_OK(opened);
  PackedQuality prose = {"prose.txt", "tiny-phi", 1000, 512, false, 1.5, 1.4, 0.07, 0.4, 0.85};
  PackedQuality code = prose;
  code.text = "code.txt";
  PackedQuality generated = prose;
  generated.generated = true;
  for (const PackedQuality& quality : {prose, code, generated}) {
    MIDGE_ASSERT_OK(keep_packed_quality(path, quality));
  }
  prose.kl_mean = 0.06;  // measured again
  MIDGE_ASSERT_OK(keep_packed_quality(path, prose));

  const auto file = PackedFile::open(path);
  MIDGE_ASSERT_OK(file);
  const auto qualities = read_packed_quality(**file);
  MIDGE_ASSERT_OK(qualities);
  EXPECT_EQ(*qualities, (std::vector<PackedQuality>{code, generated, prose}));
  EXPECT_EQ((*file)->content_id(), (*opened)->content_id());
  MIDGE_ASSERT_OK((*file)->verify());
  EXPECT_EQ(open_all(path).message(), "");
  for (const PackedSection& section : (*opened)->sections()) {
    const PackedSection* kept = (*file)->find(section.name_view());
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(kept->flags, section.flags);
    EXPECT_TRUE(std::ranges::equal((*file)->bytes(*kept), (*opened)->bytes(section)));
  }
  // The oldest ones go, and nothing else is kept.
  for (size_t i = 0; i < kQualitiesMax; ++i) {
    code.text = std::to_string(i);
    MIDGE_ASSERT_OK(keep_packed_quality(path, code));
  }
  const auto full = PackedFile::open(path);
  MIDGE_ASSERT_OK(full);
  const auto newest = read_packed_quality(**full);
  MIDGE_ASSERT_OK(newest);
  EXPECT_EQ(newest->size(), kQualitiesMax);
  EXPECT_EQ(newest->front().text, "0");
  code.text = std::string(kQualityNameMax + 1, 'x');
  EXPECT_EQ(keep_packed_quality(path, code).code(), StatusCode::kInvalidArgument);
}

TEST(PackedFile, RefusesDamagedMeasurements) {
  const test::TempDir dir;
  const std::string path = dir.write("phi.midge", tiny_phi_bytes());
  MIDGE_ASSERT_OK(keep_packed_quality(
      path, {"prose.txt", "tiny-phi", 1000, 512, false, 1.5, 1.4, 0.07, 0.4, 0.85}));
  std::vector<SectionBytes> parts = test::split_packed(test::read_bytes(path));
  ASSERT_EQ(parts.back().name, "quality");
  const std::string whole = parts.back().bytes;
  const auto refused = [&](const std::string& bytes) {
    parts.back().bytes = bytes;
    const auto file = PackedFile::open(dir.write("damaged.midge", test::join_packed(parts)));
    EXPECT_TRUE(file.ok()) << file.status().message();
    const Status status = file.ok() ? read_packed_quality(**file).status() : file.status();
    EXPECT_EQ(open_all(dir.file("damaged.midge")).message(), "") << "the model is whole";
    return status.code() == StatusCode::kInvalidFile &&
           status.message().find("section 'quality'") != std::string::npos;
  };
  EXPECT_FALSE(refused(whole));
  for (size_t size = 1; size < whole.size(); ++size) EXPECT_TRUE(refused(whole.substr(0, size)));
  EXPECT_TRUE(refused(whole + "x"));
  for (const size_t high_byte : {size_t{3}, size_t{7}, whole.size() - 1}) {
    std::string bytes = whole;  // many measurements, a long name, a share beyond 1
    bytes[high_byte] = 0x7F;
    EXPECT_TRUE(refused(bytes)) << high_byte;
  }
}

TEST(PackedFile, RefusesUnknownFeaturesAndVersions) {
  const test::TempDir dir;
  std::string bytes = tiny_phi_bytes();
  bytes[offsetof(PackedHeader, required_features) + 1] = 4;
  Status status = open_all(dir.write("feature.midge", test::with_right_checksums(bytes)));
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("feature bit 10"), std::string::npos) << status.message();
  bytes = tiny_phi_bytes();
  bytes[offsetof(PackedHeader, optional_features)] = 1;
  status = open_all(dir.write("optional.midge", test::with_right_checksums(bytes)));
  EXPECT_EQ(status.message(), "");
  bytes = tiny_phi_bytes();
  bytes[offsetof(PackedHeader, version)] = 2;
  status = open_all(dir.write("version.midge", test::with_right_checksums(bytes)));
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_NE(status.message().find("version 2"), std::string::npos) << status.message();
}

// Contradictions under right checksums: what a file's maker can write.
TEST(PackedFile, RefusesWhatContradictsItself) {
  const test::TempDir dir;
  const std::vector<SectionBytes> whole = test::split_packed(tiny_phi_bytes());
  const auto with_tensors = [&](const auto& change) {
    std::vector<SectionBytes> parts = whole;
    auto tensors = *read_tensors(
        {reinterpret_cast<const uint8_t*>(parts[1].bytes.data()), parts[1].bytes.size()});
    change(tensors);
    parts[1].bytes = write_tensors(tensors);
    const Status status = open_all(dir.write("changed.midge", test::join_packed(parts)));
    EXPECT_FALSE(status.ok());
    return status.code();
  };
  using Tensors = std::vector<PackedTensor>;
  EXPECT_EQ(with_tensors([](Tensors& t) { t.clear(); }), StatusCode::kModelMismatch);
  EXPECT_EQ(with_tensors([](Tensors& t) { t[0].n += 1; }), StatusCode::kModelMismatch);
  EXPECT_EQ(with_tensors([](Tensors& t) { t[0].columns = INT64_MIN; }), StatusCode::kModelMismatch);
  EXPECT_EQ(with_tensors([](Tensors& t) { t[0].offset += 1; }), StatusCode::kInvalidFile);
  EXPECT_EQ(with_tensors([](Tensors& t) { t[0].offset = UINT64_MAX / 64 * 64; }),
            StatusCode::kInvalidFile);
  EXPECT_EQ(with_tensors([](Tensors& t) { t[0].encoding = "q3b17"; }), StatusCode::kUnsupported);
  EXPECT_EQ(with_tensors([](Tensors& t) { t[0].encoding = "f32"; }), StatusCode::kUnsupported);
  EXPECT_EQ(with_tensors([](Tensors& t) { t[0].layout = "spiral"; }), StatusCode::kUnsupported);
  EXPECT_EQ(with_tensors([](Tensors& t) { t[0].section = "nowhere"; }), StatusCode::kInvalidFile);
  for (const std::string_view name : {"config", "tensors", "vectors", "weights"}) {
    std::vector<SectionBytes> parts = whole;
    std::erase_if(parts, [&](const SectionBytes& part) { return part.name == name; });
    EXPECT_FALSE(open_all(dir.write("less.midge", test::join_packed(parts))).ok()) << name;
    parts = whole;
    for (SectionBytes& part : parts) {
      if (part.name == name) part.bytes.resize(part.bytes.size() / 2);
    }
    EXPECT_FALSE(open_all(dir.write("half.midge", test::join_packed(parts))).ok()) << name;
  }
}

// A tail has the encoding that goes with that of its matrix: both are multiplied with the same
// activations.
TEST(PackedFile, RefusesTailsOfOtherEncodings) {
  const test::TempDir dir;
  test::CheckpointShape shape;
  shape.hidden = 320;
  shape.heads = 5;
  shape.head_dim = 64;
  shape.intermediate = 320;
  pack(test::write_checkpoint(dir, shape), dir.file("tail.midge"), "fast");
  const std::vector<SectionBytes> whole =
      test::split_packed(test::read_bytes(dir.file("tail.midge")));
  const auto tensors = read_tensors(
      {reinterpret_cast<const uint8_t*>(whole[1].bytes.data()), whole[1].bytes.size()});
  ASSERT_TRUE(tensors.ok());
  const auto tailed = std::find_if(tensors->begin(), tensors->end(),
                                   [](const PackedTensor& t) { return t.tail_columns > 0; });
  ASSERT_NE(tailed, tensors->end());
  int refused = 0;
  for (const char* encoding : {"f16", "q4b32", "q4b32m", "q5b32", "q5b32m", "q8b32"}) {
    auto changed = *tensors;
    PackedTensor& tensor = changed[static_cast<size_t>(tailed - tensors->begin())];
    if (tensor.tail_encoding == encoding) continue;
    tensor.tail_encoding = encoding;
    std::vector<SectionBytes> parts = whole;
    parts[1].bytes = write_tensors(changed);
    const Status status = open_all(dir.write("changed.midge", test::join_packed(parts)));
    EXPECT_FALSE(status.ok()) << encoding;
    ++refused;
  }
  EXPECT_GE(refused, 4);
}

// Text becomes the same ids and back, by tables in the file.
TEST(PackedFile, TokenizerIsTheSame) {
  for (const char* name : {"tiny-phi", "tiny-mimo"}) {
    const test::TempDir dir;
    pack(bundled(name), dir.file("model.midge"), "fast");
    const auto expected = load_tokenizer(bundled(name), FileAccess::kMap);
    const auto found = load_tokenizer(dir.file("model.midge"), FileAccess::kMap);
    MIDGE_ASSERT_OK(expected);
    MIDGE_ASSERT_OK(found);
    EXPECT_EQ(found->vocab_size(), expected->vocab_size());
    EXPECT_EQ(found->token_count(), expected->token_count());
    EXPECT_EQ(found->chat_template(), expected->chat_template());
    EXPECT_EQ(found->bos_id(), expected->bos_id());
    EXPECT_EQ(found->eos_id(), expected->eos_id());
    EXPECT_EQ(found->add_bos(), expected->add_bos());
    EXPECT_TRUE(std::ranges::equal(found->stop_ids(), expected->stop_ids()));
    for (int32_t id = -1; id <= expected->vocab_size(); ++id) {
      EXPECT_EQ(found->token_bytes(id), expected->token_bytes(id));
      EXPECT_EQ(found->token_kind(id), expected->token_kind(id));
    }
    EXPECT_EQ(found->added_tokens().size(), expected->added_tokens().size());
  }
}

}  // namespace
}  // namespace midge
