#include "cli/help.h"

#include <algorithm>
#include <sstream>

namespace midge {
namespace {

constexpr size_t kWidth = 80;
constexpr size_t kTextColumn = 26;  // where descriptions begin

// The text in lines of the width, all but the first one indented.
std::string wrapped(const std::string& text, size_t indent) {
  std::string lines;
  size_t column = indent;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (column > indent && column + 1 + word.size() > kWidth) {
      lines += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      lines += ' ';
      ++column;
    }
    lines += word;
    column += word.size();
  }
  return lines;
}

// "  left            text", the text on a line of its own where the left side is long.
std::string entry(const std::string& left, const std::string& text, size_t column = kTextColumn) {
  std::string line = "  " + left;
  if (line.size() + 2 > column) {
    line += "\n" + std::string(column, ' ');
  } else {
    line.resize(column, ' ');
  }
  return line + wrapped(text, column) + "\n";
}

// "-n, --tokens N".
std::string usage_of(const ListedOption& option) {
  std::string usage = option.short_name.empty() ? "    " : option.short_name;
  if (!option.long_name.empty()) {
    usage += option.short_name.empty() ? "" : ", ";
    usage += option.long_name;
  }
  if (!option.value.empty()) usage += " " + option.value;
  return usage;
}

// Left out of short help.
bool is_advanced(const ListedOption& option) {
  return option.group == kSamplingGroup || option.group == kMemoryGroup ||
         option.group == kWeightsGroup || option.group == kKernelsGroup;
}

bool has_name(const ListedOption& option) {
  return !option.short_name.empty() || !option.long_name.empty();
}

std::string usage_line(const CommandLine& command) {
  std::string usage = "midge " + command.get_name() + " [OPTIONS]";
  for (const ListedOption& option : command.options()) {
    if (option.positional.empty()) continue;
    usage += option.required ? " " + option.positional : " [" + option.positional + "]";
  }
  return usage;
}

// Groups in the order in which options first name them; the general ones first.
std::vector<std::string> groups_of(const std::vector<ListedOption>& options) {
  std::vector<std::string> groups;
  for (const bool advanced : {false, true}) {
    for (const ListedOption& option : options) {
      if (is_advanced(option) != advanced || !has_name(option) || option.group == kHelpGroup) {
        continue;
      }
      if (std::find(groups.begin(), groups.end(), option.group) == groups.end()) {
        groups.push_back(option.group);
      }
    }
  }
  groups.emplace_back(kHelpGroup);
  return groups;
}

std::string help_of(const CommandLine& command, bool all) {
  const std::vector<ListedOption> options = command.options();
  std::string text =
      wrapped(command.get_description() + ".", 0) + "\n\nUsage: " + usage_line(command) + "\n";
  bool first = true;
  for (const ListedOption& option : options) {
    if (option.positional.empty()) continue;
    text += first ? "\nArguments:\n" : "";
    first = false;
    text += entry(option.positional, option.description);
  }
  bool leaves_out = false;
  for (const std::string& group : groups_of(options)) {
    std::string list;
    for (const ListedOption& option : options) {
      if (option.group != group || !has_name(option)) continue;
      if (is_advanced(option) && !all) {
        leaves_out = true;
        continue;
      }
      list += entry(usage_of(option), option.positional.empty()
                                          ? option.description
                                          : "Another way to give " + option.positional);
    }
    if (!list.empty()) text += "\n" + group + ":\n" + list;
  }
  const std::string examples = command.get_footer();
  if (!examples.empty()) text += "\nExamples:\n" + examples;
  if (leaves_out) text += "\n'midge " + command.get_name() + " --help' lists all options.\n";
  return text;
}

// Text of a man page: a dot or quote at the beginning of a line would be a macro, and a hyphen that
// is typed is not a dash.
std::string roff(const std::string& text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_begins = c == '\n';
  }
  return out;
}

std::string man_options(const CommandLine& command) {
  std::string page;
  const std::vector<ListedOption> options = command.options();
  for (const ListedOption& option : options) {
    if (option.positional.empty()) continue;
    page += ".TP\n.I " + option.positional + "\n" + roff(option.description) + "\n";
  }
  for (const std::string& group : groups_of(options)) {
    page += ".PP\n" + roff(group) + ":\n";
    for (const ListedOption& option : options) {
      if (option.group != group || !has_name(option)) continue;
      page += ".TP\n";
      std::string names =
          "\\fB" + roff(option.short_name.empty() ? option.long_name : option.short_name);
      if (!option.short_name.empty() && !option.long_name.empty()) {
        names += "\\fR, \\fB" + roff(option.long_name);
      }
      names += "\\fR";
      if (!option.value.empty()) names += " \\fI" + roff(option.value) + "\\fR";
      page += names + "\n" + roff(option.description) + "\n";
    }
  }
  return page;
}

}  // namespace

std::string overview(const CommandLine& app) {
  std::string text =
      "midge runs large language models on this machine, from their published "
      "files.\n\nUsage: midge COMMAND [OPTIONS] [MODEL]\n\nCommands:\n";
  for (const auto& command : app.commands()) {
    text += entry(command->get_name(), command->get_description(), 16);
  }
  text += "\nOptions:\n" + entry("-h, --help", "This page", 16) +
          entry("--version", "Version, compiler and levels", 16);
  return text + "\nExamples:\n" + app.get_footer() +
         "\n'midge COMMAND -h' shows the options of a "
         "command, '--help' all of them.\n";
}

std::string short_help(const CommandLine& command) { return help_of(command, false); }

std::string long_help(const CommandLine& command) { return help_of(command, true); }

std::string man_page(const CommandLine& app, const std::string& version) {
  std::string page = ".TH MIDGE 1 \"\" \"midge " + version + "\" \"User Commands\"\n";
  page += ".SH NAME\nmidge \\- run large language models from their published files\n";
  page += ".SH SYNOPSIS\n.B midge\n.I COMMAND\n[\\fIOPTIONS\\fR] [\\fIMODEL\\fR]\n";
  page += ".SH DESCRIPTION\nThe commands are:\n";
  for (const auto& command : app.commands()) {
    page += ".TP\n.B " + command->get_name() + "\n" + roff(command->get_description()) + ".\n";
  }
  for (const auto& command : app.commands()) {
    std::string title = command->get_name();
    std::transform(title.begin(), title.end(), title.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    page += ".SH " + title + "\n" + roff(command->get_description()) + ".\n.PP\n.B " +
            roff(usage_line(*command)) + "\n" + man_options(*command);
    if (!command->get_footer().empty()) {
      page += ".PP\nExamples:\n.PP\n.nf\n" + roff(command->get_footer()) + ".fi\n";
    }
  }
  page +=
      ".SH EXIT STATUS\n"
      "0 fine, 1 a fault of midge itself, 2 bad option, 3 not found, 4 input or output, 5 "
      "damaged file, 6 unsupported, 7 model and tensors contradict each other, 8 out of "
      "memory, 9 out of range, 10 the prompt does not fit into the context, 11 cancelled, 12 "
      "busy, 13 no KV pages.\n";
  page +=
      ".SH ENVIRONMENT\n"
      ".TP\n.B XDG_CACHE_HOME\nFolder of midge/, which keeps measured rates and packed files; "
      "without it ~/.cache.\n"
      ".TP\n.B XDG_STATE_HOME\nFolder of midge/, which keeps the lines typed into midge chat; "
      "without it ~/.local/state.\n"
      ".TP\n.BR HF_HUB_CACHE \", \" HF_HOME\nWhere snapshots of Hugging Face are looked for, "
      "before ~/.cache/huggingface/hub.\n"
      ".TP\n.B NO_COLOR\nIf set and not empty, nothing is coloured.\n";
  return page;
}

}  // namespace midge
