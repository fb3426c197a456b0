// Completion scripts of the shells (cli/help.h). Models and other files are completed as files.
#include <algorithm>

#include "cli/help.h"

namespace midge {
namespace {

std::string word_list(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& word : words) list += (list.empty() ? "" : " ") + word;
  return list;
}

// Inside of single quotes.
std::string single_quoted(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out;
}

std::string first_sentence(const std::string& text) {
  const size_t end = std::min({text.find(": "), text.find("; "), text.find(" (")});
  return text.substr(0, std::min(end, text.size()));
}

// What zsh takes for a description: brackets and colons would end it.
std::string zsh_text(const std::string& text) {
  std::string out;
  for (const char c : first_sentence(text)) {
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
  }
  return single_quoted(out);
}

// How zsh completes a value.
std::string zsh_action(const ListedOption& option) {
  const std::vector<std::string> choices = option.choices();
  if (!choices.empty()) return "(" + word_list(choices) + ")";
  return option.value == "FILE" ? "_files" : option.value == "DIR" ? "_files -/" : "";
}

std::string zsh_value(const ListedOption& option) {
  if (option.value.empty()) return {};
  const char* what = option.value == "FILE" && option.choices().empty()  ? "file"
                     : option.value == "DIR" && option.choices().empty() ? "folder"
                                                                         : "value";
  return std::string(":") + what + ":" + zsh_action(option);
}

}  // namespace

std::string bash_completion(const CommandLine& app) {
  std::string script =
      "# Completion of midge for bash. Made by 'midge generate bash'.\n"
      "_midge() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} last=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  local command=${COMP_WORDS[1]} options=\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    mapfile -t COMPREPLY < <(compgen -W '" +
      word_list(app.command_names()) +
      " --help --version' -- \"$word\")\n"
      "    return\n"
      "  fi\n"
      "  case $command:$last in\n";
  for (const auto& command : app.commands()) {
    for (const ListedOption& option : command->options()) {
      if (option.choices().empty() || option.long_name.empty()) continue;
      script += "    " + command->get_name() + ":" + option.long_name +
                ") mapfile -t COMPREPLY < <(compgen -W '" + word_list(option.choices()) +
                "' -- \"$word\"); return ;;\n";
    }
  }
  script += "  esac\n  case $command in\n";
  for (const auto& command : app.commands()) {
    std::vector<std::string> words = command->option_names();
    for (const ListedOption& option : command->options()) {
      if (option.long_name.empty() && !option.choices().empty()) {
        for (const std::string& choice : option.choices()) words.push_back(choice);
      }
    }
    if (command->get_name() == "help") words = app.command_names();
    script += "    " + command->get_name() + ") options='" + word_list(words) + "' ;;\n";
  }
  return script +
         "  esac\n"
         "  if [[ $word == -* || $command == help || $command == generate ]]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
         "  else\n"
         "    mapfile -t COMPREPLY < <(compgen -f -- \"$word\"; compgen -W 'tiny-mimo tiny-phi' -- "
         "\"$word\")\n"
         "    compopt -o filenames 2>/dev/null\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _midge midge\n";
}

std::string zsh_completion(const CommandLine& app) {
  std::string script =
      "#compdef midge\n"
      "# Completion of midge for zsh. Made by 'midge generate zsh'.\n"
      "_midge() {\n"
      "  local -a commands\n"
      "  commands=(\n";
  for (const auto& command : app.commands()) {
    script += "    '" + command->get_name() + ":" + zsh_text(command->get_description()) + "'\n";
  }
  script +=
      "  )\n"
      "  if (( CURRENT == 2 )); then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  local name=$words[2]\n"
      "  shift words\n"
      "  (( CURRENT-- ))\n"
      "  case $name in\n";
  for (const auto& command : app.commands()) {
    script += "    " + command->get_name() + ")\n      _arguments -s";
    for (const ListedOption& option : command->options()) {
      const std::string text = "[" + zsh_text(option.description) + "]" + zsh_value(option);
      for (const std::string& name : {option.short_name, option.long_name}) {
        if (!name.empty()) script += " \\\n        '*" + name + text + "'";
      }
      if (!option.positional.empty() && option.long_name.empty()) {
        const std::string action = command->get_name() == "help"
                                       ? "(" + word_list(app.command_names()) + ")"
                                       : zsh_action(option);
        script += " \\\n        ':" + option.positional + ":" + action + "'";
      }
    }
    if (command->get_name() != "help") {
      script += " \\\n        '*:model or file:{ _files; compadd tiny-mimo tiny-phi }'";
    }
    script += "\n      ;;\n";
  }
  return script + "  esac\n}\n_midge \"$@\"\n";
}

std::string fish_completion(const CommandLine& app) {
  std::string script = "# Completion of midge for fish. Made by 'midge generate fish'.\n";
  for (const auto& command : app.commands()) {
    script += "complete -c midge -n __fish_use_subcommand -f -a " + command->get_name() + " -d '" +
              single_quoted(first_sentence(command->get_description())) + "'\n";
  }
  for (const auto& command : app.commands()) {
    const std::string begin =
        "complete -c midge -n '__fish_seen_subcommand_from " + command->get_name() + "'";
    for (const ListedOption& option : command->options()) {
      std::string line = begin;
      if (!option.short_name.empty()) line += " -s " + option.short_name.substr(1);
      if (!option.long_name.empty()) line += " -l " + option.long_name.substr(2);
      if (line == begin) {
        if (option.choices().empty()) continue;
        script += begin + " -f -a '" + word_list(option.choices()) + "'\n";
        continue;
      }
      if (!option.choices().empty()) {
        line += " -x -a '" + word_list(option.choices()) + "'";
      } else if (!option.value.empty()) {
        line += option.value == "FILE" || option.value == "DIR" ? " -r" : " -x";
      }
      script += line + " -d '" + single_quoted(first_sentence(option.description)) + "'\n";
    }
    if (command->get_name() == "help") {
      script += begin + " -f -a '" + word_list(app.command_names()) + "'\n";
    }
  }
  return script;
}

}  // namespace midge
