#include "engine/chat/template_source.h"

#include <gtest/gtest.h>

namespace midge {
namespace {

using Texts = std::vector<std::string>;

TemplateSource read(std::string_view text) {
  const auto source = read_template_source(text);
  EXPECT_TRUE(source.ok()) << source.status().message();
  return source.ok() ? *source : TemplateSource{};
}

TEST(TemplateSource, CodeInOneSpelling) {
  EXPECT_EQ(read("{{- m.role  +\"a\" + 'b'~ '\\n' + x -}}").code, "{{m['role']+'ab\n'+x}}");
  EXPECT_EQ(read("{% if a.b.c(1) %}").code, "{%ifa['b'].c(1)%}");
  EXPECT_EQ(read("{{ {'a': {}} }}").code, "{{{'a':{}}}}");
  EXPECT_EQ(read("{{ '}}' }}").texts, (Texts{"}}"}));
  EXPECT_EQ(read("{{ 'a' }}{{ 'b' }}").texts, (Texts{"a", "b"}));
  EXPECT_EQ(read("a{b}c").texts, (Texts{"a{b}c"}));
}

TEST(TemplateSource, FiltersAndCalls) {
  EXPECT_EQ(read("{{ a | tojson | f (x) }}{% if (a) and not (b) %}{{ range(3) }}").calls,
            (Texts{"tojson", "f", "f", "range"}));
}

// What Jinja with trim_blocks and lstrip_blocks writes of the text around tags.
TEST(TemplateSource, WhiteSpaceThatIsDropped) {
  EXPECT_EQ(read("{% if a %}\n  {% endif %}\n").texts, Texts());
  EXPECT_EQ(read("  {# c #}\n\t{% if a %}").texts, Texts());
  EXPECT_EQ(read("{% if a %}\n\n{% endif %}").texts, (Texts{"\n"}));
  EXPECT_EQ(read("{% if a %}  {% endif %}").texts, (Texts{"  "}));
  EXPECT_EQ(read("{{ a }}\n{{ b }}").texts, (Texts{"\n"}));
  EXPECT_EQ(read("{{ a }}\n  {% if b %}").texts, (Texts{"\n"}));
  EXPECT_EQ(read("{{ a -}}\n\n x \n {{- b }}").texts, (Texts{"x"}));
  EXPECT_EQ(read("{{ a }}\n").texts, Texts());
  EXPECT_EQ(read("{{ a }}\n\n").texts, (Texts{"\n"}));
  EXPECT_EQ(read("{% if a %}x\n  {% endif %}").texts, (Texts{"x\n"}));
}

}  // namespace
}  // namespace midge
