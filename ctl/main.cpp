#include "ctl/cli.hpp"

int main(int argc, char** argv) { return simplon::ctl::main(argc, argv); }
