#include "cli/parse_errors.h"

#include <algorithm>

#include "cli/option_checks.h"
#include "cli/option_list.h"
#include "engine/core/status.h"

namespace midge {
namespace {

// The command that was being read; the program itself before one was named.
const CLI::App& parsed_command(const CLI::App& app) {
  const std::vector<const CLI::App*> parsed =
      app.get_subcommands([](const CLI::App* command) { return command->parsed(); });
  return parsed.empty() ? app : *parsed.back();
}

std::string see_help(const CLI::App& command) {
  return "; see midge " + (command.get_parent() == nullptr ? "" : command.get_name() + " ") + "-h";
}

std::string describe_extra(const CLI::App& command, const std::string& word) {
  std::string option = word.substr(0, word.find('='));
  if (option.size() < 2 || option[0] != '-') {
    return "'" + printable(word) + "' is one word too many; text of several words needs quotes" +
           see_help(command);
  }
  const std::string meant = closest(option, option_names(command));
  return command.get_name() + " has no option '" + printable(option) + "'" +
         (meant.empty() ? see_help(command) : "; did you mean " + meant + "?");
}

std::string lower_first(std::string text) {
  if (!text.empty()) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

// Words of a message of CLI11 that stand after `begin`.
std::string rest_after(const std::string& text, const std::string& begin) {
  return text.substr(std::min(begin.size(), text.size()));
}

}  // namespace

std::string describe_unknown_command(const CLI::App& app, const std::string& word) {
  const std::string meant = closest(word, command_names(app));
  return "no command '" + printable(word) + "'" +
         (meant.empty() ? see_help(app) : "; did you mean " + meant + "?");
}

std::string describe_parse_error(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = parsed_command(app);
  std::string what = error.what();
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::vector<std::string> rest = command.remaining();
    const auto option = std::find_if(rest.begin(), rest.end(), [](const std::string& word) {
      return word.size() > 1 && word[0] == '-';
    });
    return rest.empty() ? what
                        : describe_extra(command, option == rest.end() ? rest.front() : *option);
  }
  if (dynamic_cast<const CLI::ValidationError*>(&error) != nullptr) {
    // "--kv: is 'x', expected …" is a sentence without the colon.
    const size_t colon = what.find(": is '");
    if (colon != std::string::npos) what.erase(colon, 1);
    return what;
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
    return what.substr(0, what.find(':')) + " needs a value" + see_help(command);
  }
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    return what.substr(0, what.find(" is required")) + " is missing" + see_help(command);
  }
  if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
    const size_t excludes = what.find(" excludes ");
    if (excludes != std::string::npos) what.replace(excludes, 10, " does not go with ");
    return what;
  }
  if (dynamic_cast<const CLI::RequiresError*>(&error) != nullptr) {
    const size_t needs = what.find(" requires ");
    if (needs != std::string::npos) what.replace(needs, 10, " needs ");
    return what;
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    return rest_after(what, "Could not convert: ") + ", expected a number";
  }
  return lower_first(what);
}

}  // namespace midge
