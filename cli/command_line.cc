#include "cli/command_line.h"

#include <algorithm>
#include <sstream>

#include <CLI/CLI.hpp>

#include "cli/option_checks.h"
#include "engine/core/status.h"

namespace midge {
namespace {

// CLI11 joins the names of checks to the type; here they have none.
std::string value_name(const CLI::Option& option) {
  if (option.get_type_size_max() == 0) return {};
  std::string name = option.get_type_name();
  name.erase(std::min(name.find(':'), name.size()));
  if (name == "INT" || name == "UINT" || name == "FLOAT") return "N";
  return name;
}

std::string see_help(const CLI::App& app) {
  return "; see midge " + (app.get_parent() == nullptr ? "" : app.get_name() + " ") + "-h";
}

std::string describe_extra(const CLI::App& app, const std::vector<std::string>& options,
                           const std::string& word) {
  const std::string option = word.substr(0, word.find('='));
  if (option.size() < 2 || option[0] != '-') {
    const bool is_quoted = word.find(' ') != std::string::npos;
    return "'" + printable(word) + "' is one argument too many" +
           (is_quoted ? "" : "; text of several words needs quotes") + see_help(app);
  }
  // One letter is like any other.
  const std::string meant = option.size() > 2 ? closest(option, options) : "";
  return app.get_name() + " has no option '" + printable(option) + "'" +
         (meant.empty() ? see_help(app) : "; did you mean " + meant + "?");
}

std::string replaced(std::string text, const std::string& part, const std::string& by) {
  const size_t at = text.find(part);
  if (at != std::string::npos) text.replace(at, part.size(), by);
  return text;
}

// The message of CLI11 in the program's words. options: of the command.
std::string describe(const CLI::App& app, const std::vector<std::string>& options,
                     const CLI::ParseError& error) {
  const std::string what = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    const std::vector<std::string> rest = app.remaining();
    const auto option = std::find_if(rest.begin(), rest.end(), [](const std::string& word) {
      return word.size() > 1 && word[0] == '-';
    });
    if (rest.empty()) return what;
    return describe_extra(app, options, option == rest.end() ? rest.front() : *option);
  }
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) {
    // "--kv: is 'x', expected …" is a sentence without the colon.
    return replaced(what, ": is '", " is '");
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    const bool is_twice = what.find(": At Most") != std::string::npos;
    return what.substr(0, what.find(':')) + (is_twice ? " is given twice" : " needs a value") +
           see_help(app);
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    return what.substr(0, what.find(" is required")) + " is missing" + see_help(app);
  }
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    return replaced(what, " excludes ", " does not go with ");
  }
  if (dynamic_cast<const CLI::RequiresError*>(&error) != nullptr) {
    return replaced(what, " requires ", " needs ");
  }
  return what;
}

}  // namespace

CommandOption* CommandOption::check(const OptionCheck& check) {
  option_->check(CLI::Validator([check](std::string& text) { return check(text); }, ""));
  return this;
}

CommandOption* CommandOption::type_name(const std::string& name) {
  option_->type_name(name);
  return this;
}

CommandOption* CommandOption::group(const std::string& name) {
  option_->group(name);
  return this;
}

CommandOption* CommandOption::description(const std::string& text) {
  option_->description(text);
  return this;
}

CommandOption* CommandOption::required() {
  option_->required();
  return this;
}

CommandOption* CommandOption::excludes(CommandOption* other) {
  option_->excludes(other->option_);
  return this;
}

CommandOption* CommandOption::needs(CommandOption* other) {
  option_->needs(other->option_);
  return this;
}

CommandOption* CommandOption::capture_default_str() {
  option_->capture_default_str();
  return this;
}

CommandOption* CommandOption::allow_extra_args(bool allow) {
  option_->allow_extra_args(allow);
  return this;
}

CommandOption* CommandOption::delimiter(char character) {
  option_->delimiter(character);
  return this;
}

size_t CommandOption::count() const { return option_->count(); }

std::vector<std::string> ListedOption::choices() const {
  std::vector<std::string> names;
  if (value.find('|') == std::string::npos) return names;
  std::istringstream list(value);
  for (std::string name; std::getline(list, name, '|');) names.push_back(name);
  return names;
}

CommandLine::CommandLine(const std::string& name, const std::string& description)
    : program_(std::make_unique<CLI::App>(description, name)), app_(program_.get()) {
  app_->set_version_flag("--version", "");
  app_->set_help_flag("-h", "The most used options");
  app_->set_help_all_flag("--help", "All options");
  app_->require_subcommand(1);
}

CommandLine::CommandLine(CLI::App* app) : app_(app) {
  for (CLI::Option* help : {app_->set_help_flag("-h", "The most used options"),
                            app_->set_help_all_flag("--help", "All options")}) {
    help->group("Help");
  }
}

CommandLine::~CommandLine() = default;

CommandLine* CommandLine::add_subcommand(const std::string& name, const std::string& description) {
  CLI::App* app = app_->add_subcommand(name, description);
  return commands_.emplace_back(new CommandLine(app)).get();
}

CommandOption* CommandLine::keep(CLI::Option* option) { return &options_.emplace_back(option); }

CommandOption* CommandLine::keep_whole_number(CLI::Option* option) {
  // CLI11 takes 010 for 8.
  option->transform(CLI::Validator(
      [](std::string& text) {
        const size_t first = text.starts_with('-') ? 1 : 0;
        while (text.size() > first + 1 && text[first] == '0' && text[first + 1] >= '0' &&
               text[first + 1] <= '9') {
          text.erase(first, 1);
        }
        return std::string();
      },
      ""));
  return keep(option);
}

CommandOption* CommandLine::add_flag(const std::string& names, bool& value,
                                     const std::string& description) {
  return keep(app_->add_flag(names, value, description));
}

CommandOption* CommandLine::add_option(const std::string& names, std::string& value,
                                       const std::string& description) {
  return keep(app_->add_option(names, value, description));
}

CommandOption* CommandLine::add_option(const std::string& names, std::optional<std::string>& value,
                                       const std::string& description) {
  return keep(app_->add_option(names, value, description));
}

CommandOption* CommandLine::add_option(const std::string& names, std::vector<std::string>& value,
                                       const std::string& description) {
  return keep(app_->add_option(names, value, description));
}

CommandOption* CommandLine::add_option(const std::string& names, std::vector<int32_t>& value,
                                       const std::string& description) {
  return keep_whole_number(app_->add_option(names, value, description));
}

CommandOption* CommandLine::add_option(const std::string& names, int32_t& value,
                                       const std::string& description) {
  return keep_whole_number(app_->add_option(names, value, description));
}

CommandOption* CommandLine::add_option(const std::string& names, int64_t& value,
                                       const std::string& description) {
  return keep_whole_number(app_->add_option(names, value, description));
}

CommandOption* CommandLine::add_option(const std::string& names, std::optional<uint64_t>& value,
                                       const std::string& description) {
  return keep_whole_number(app_->add_option(names, value, description));
}

CommandOption* CommandLine::add_option(const std::string& names, float& value,
                                       const std::string& description) {
  return keep(app_->add_option(names, value, description));
}

CommandOption* CommandLine::add_option(const std::string& names, double& value,
                                       const std::string& description) {
  return keep(app_->add_option(names, value, description));
}

CommandOption* CommandLine::get_option(const std::string& name) {
  return keep(app_->get_option(name));
}

void CommandLine::footer(const std::string& examples) { app_->footer(examples); }

void CommandLine::callback(const std::function<void()>& call) { app_->callback(call); }

const std::string& CommandLine::get_name() const { return app_->get_name(); }

std::string CommandLine::get_description() const { return app_->get_description(); }

std::string CommandLine::get_footer() const { return app_->get_footer(); }

const CommandLine* CommandLine::find_command(const std::string& name) const {
  for (const auto& command : commands_) {
    if (command->get_name() == name) return command.get();
  }
  return nullptr;
}

std::vector<std::string> CommandLine::command_names() const {
  std::vector<std::string> names;
  for (const auto& command : commands_) names.push_back(command->get_name());
  return names;
}

std::vector<ListedOption> CommandLine::options() const {
  std::vector<ListedOption> listed;
  for (const CLI::Option* option : std::as_const(*app_).get_options()) {
    ListedOption entry;
    if (!option->get_snames().empty()) entry.short_name = "-" + option->get_snames().front();
    if (!option->get_lnames().empty()) entry.long_name = "--" + option->get_lnames().front();
    if (option->get_positional()) entry.positional = option->get_name(true, false);
    entry.value = value_name(*option);
    entry.group = option->get_group();
    entry.description = option->get_description();
    if (!option->get_default_str().empty() && !entry.value.empty()) {
      entry.description += " (default " + option->get_default_str() + ")";
    }
    entry.required = option->get_required();
    listed.push_back(std::move(entry));
  }
  return listed;
}

std::vector<std::string> CommandLine::option_names() const {
  std::vector<std::string> names;
  for (const ListedOption& option : options()) {
    for (const std::string& name : {option.short_name, option.long_name}) {
      if (!name.empty()) names.push_back(name);
    }
  }
  return names;
}

std::string CommandLine::describe_unknown_command(const std::string& word) const {
  if (word.starts_with('-')) {
    return "no option '" + printable(word) + "' before a command; midge COMMAND OPTIONS";
  }
  const std::string meant = closest(word, command_names());
  return "no command '" + printable(word) + "'" +
         (meant.empty() ? see_help(*app_) : "; did you mean " + meant + "?");
}

ParsedCommandLine CommandLine::parse(int argc, char** argv) {
  using Kind = ParsedCommandLine::Kind;
  if (argc < 2) return {Kind::kShortHelp, this, {}};
  const std::string first = argv[1];
  const bool is_own_option = first == "-h" || first == "--help" || first == "--version";
  if (!is_own_option && find_command(first) == nullptr) {
    return {Kind::kError, this, describe_unknown_command(first)};
  }
  const CommandLine* command = is_own_option ? this : find_command(first);
  try {
    app_->parse(argc, argv);
  } catch (const CLI::CallForVersion&) {
    return {Kind::kVersion, this, {}};
  } catch (const CLI::CallForHelp&) {
    return {Kind::kShortHelp, command, {}};
  } catch (const CLI::CallForAllHelp&) {
    return {Kind::kLongHelp, command, {}};
  } catch (const CLI::ParseError& error) {
    return {Kind::kError, command, describe(*command->app_, command->option_names(), error)};
  }
  return {Kind::kCommand, command, {}};
}

}  // namespace midge
