// identity create: an identity that is a file of its own, for tools without an agent.
#include <filesystem>
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>
#include <google/protobuf/struct.pb.h>
#include <unistd.h>

#include "ctl/agent_link.hpp"
#include "ctl/cli.hpp"
#include "ctl/output.hpp"
#include "overlay/embedded/enroll.hpp"

namespace simplon::ctl {
namespace {

struct CreateOptions {
  std::string name;
  std::string out;
  bool frontend = false;
};

// Looked at before the hub is asked: a member whose file cannot be written would be of no use.
Outcome check_writable(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(file, ignored))) {
    return trouble(Exit::failed, "--out: " + file.string() + " exists already",
                   "choose another file; an identity is never overwritten");
  }
  const auto folder = file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return trouble(Exit::failed, "--out: cannot write into " + folder.string());
  }
  return {};
}

Outcome create(const Context& context, const CreateOptions& options) {
  const std::filesystem::path file(options.out);
  if (auto writable = check_writable(file); !writable) {
    return writable;
  }
  auto agent = AgentLink::open(context);
  if (!agent) {
    return std::unexpected(agent.error());
  }
  const auto made = overlay::make_identity_request(options.name);
  if (!made.ok()) {
    return trouble(absl::IsInvalidArgument(made.status()) ? Exit::usage : Exit::failed,
                   "identity create: " + std::string(made.status().message()));
  }
  v1::SignIdentityRequest request;
  request.set_name(options.name);
  request.set_certificate_request(made->request);
  request.set_frontend(options.frontend);
  const auto answer = agent->call(&v1::Hub::Stub::SignIdentity, request);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  overlay::IdentityFile identity;
  identity.name = options.name;
  identity.certificate = answer->certificate();
  identity.private_key = made->private_key;
  identity.trust_bundle = answer->trust_bundle();
  identity.addresses.assign(answer->addresses().begin(), answer->addresses().end());
  if (const auto saved = overlay::save_identity(identity, file); !saved.ok()) {
    return trouble(Exit::failed, "--out: " + std::string(saved.message()));
  }
  if (context.json) {
    google::protobuf::Struct out;
    auto& fields = *out.mutable_fields();
    fields["name"].set_string_value(options.name);
    fields["file"].set_string_value(std::filesystem::absolute(file).lexically_normal().string());
    for (const auto& address : identity.addresses) {
      fields["addresses"].mutable_list_value()->add_values()->set_string_value(address);
    }
    std::cout << to_json(out);
  } else {
    std::cout << options.out << "\n";
    std::cerr << "The identity of " << options.name
              << ", with its private key: whoever has this file is " << options.name << ".\n";
  }
  return {};
}

}  // namespace

void add_identity_commands(CLI::App& app, Context& context) {
  auto* identity = app.add_subcommand("identity", "Identities for tools without an agent");
  identity->footer("Example:\n  simplonctl identity create ws-host --out host.json");
  identity->require_subcommand(1);
  auto options = std::make_shared<CreateOptions>();
  auto* command = identity->add_subcommand(
      "create", "Make a key here, have it signed by the agent's hub, keep both in one file");
  command->footer(
      "Examples:\n"
      "  simplonctl identity create ws-host --out host.json\n"
      "  simplonctl test endpoint --identity host.json --service ws\n"
      "The private key does not leave this host. The file can be read by its owner only.");
  command->add_option("NAME", options->name, "Its name on the overlay")->required();
  command->add_option("--out", options->out, "The file to write; must not exist")
      ->type_name("FILE")
      ->required();
  command->add_flag("--frontend", options->frontend, "It may run frontends");
  command->callback([options, &context] {
    context.run = [options, &context] { return create(context, *options); };
  });
}

}  // namespace simplon::ctl
