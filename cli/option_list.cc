#include "cli/option_list.h"

#include <algorithm>
#include <sstream>

#include "cli/help.h"

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

}  // namespace

bool ListedOption::is_advanced() const {
  return group == kSamplingGroup || group == kMemoryGroup || group == kWeightsGroup ||
         group == kKernelsGroup;
}

std::vector<std::string> ListedOption::choices() const {
  std::vector<std::string> names;
  if (value.find('|') == std::string::npos) return names;
  std::istringstream list(value);
  for (std::string name; std::getline(list, name, '|');) names.push_back(name);
  return names;
}

std::vector<ListedOption> options_of(const CLI::App& command) {
  std::vector<ListedOption> listed;
  for (const CLI::Option* option : command.get_options()) {
    if (option->get_group().empty()) continue;
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

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : commands_of(app)) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : commands_of(app)) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const ListedOption& option : options_of(command)) {
    for (const std::string& name : {option.short_name, option.long_name}) {
      if (!name.empty()) names.push_back(name);
    }
  }
  return names;
}

}  // namespace midge
