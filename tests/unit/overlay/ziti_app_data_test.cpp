#include <gtest/gtest.h>

#include "overlay/ziti/app_data.hpp"

namespace simplon::overlay::ziti {
namespace {

const AppData kFull{.kind = StreamKind::raw,
                    .connection_id = "c-1",
                    .on_behalf_of = "192.0.2.7:4711",
                    .frontend = true};

TEST(ZitiAppData, ADialerTellsWhatTheStreamIsFor) {
  EXPECT_EQ(decode_app_data(encode_app_data(kFull)), kFull);
  for (const StreamKind kind :
       {StreamKind::http, StreamKind::raw, StreamKind::probe, StreamKind::control}) {
    const AppData data{.kind = kind, .connection_id = "c"};
    EXPECT_EQ(decode_app_data(encode_app_data(data)), data);
  }
}

TEST(ZitiAppData, ItIsCompactJson) {
  EXPECT_EQ(encode_app_data({.kind = StreamKind::http, .connection_id = "c-1"}),
            R"({"id":"c-1","kind":"http","simplon":1})");
}

TEST(ZitiAppData, OtherProgramsSaySomethingElse) {
  for (const char* text :
       {"", "{}", "null", "[1]", "hello", R"({"kind":"http"})", R"({"simplon":2,"kind":"http"})",
        R"({"simplon":"1","kind":"http"})", R"({"simplon":1})", R"({"simplon":1,"kind":"mail"})",
        R"({"simplon":1,"kind":7})", R"({"simplon":1,"kind":"raw","frontend":"yes"})",
        R"({"simplon":1,"kind":"raw","for":["a"]})", "{\"simplon\":1,\"kind\":\"raw\""}) {
    EXPECT_EQ(decode_app_data(text), std::nullopt) << text;
  }
}

TEST(ZitiAppData, LaterVersionsMayAddToIt) {
  EXPECT_EQ(decode_app_data(R"({"simplon":1,"kind":"raw","id":"c","new":{"a":[1,2]}})"),
            (AppData{.kind = StreamKind::raw, .connection_id = "c"}));
}

TEST(ZitiAppData, WhatGoesIntoLogsIsShortAndPrintable) {
  EXPECT_EQ(decode_app_data(R"({"simplon":1,"kind":"raw","id":"a\nb"})"), std::nullopt);
  EXPECT_EQ(decode_app_data(R"({"simplon":1,"kind":"raw","id":")" + std::string(65, 'a') + "\"}"),
            std::nullopt);
  EXPECT_EQ(decode_app_data(R"({"simplon":1,"kind":"raw","for":")" + std::string(257, 'a') + "\"}"),
            std::nullopt);
  const AppData odd{.kind = StreamKind::raw, .connection_id = "a\tb", .on_behalf_of = "\xff"};
  EXPECT_EQ(decode_app_data(encode_app_data(odd)), (AppData{.kind = StreamKind::raw}));
}

TEST(ZitiAppData, ItIsBounded) {
  const AppData large{.kind = StreamKind::control,
                      .connection_id = std::string(1000, 'c'),
                      .on_behalf_of = std::string(1000, '"'),
                      .frontend = true};
  const std::string text = encode_app_data(large);
  EXPECT_LE(text.size(), kMaxAppData);
  EXPECT_EQ(decode_app_data(text), (AppData{.kind = StreamKind::control,
                                            .connection_id = std::string(64, 'c'),
                                            .on_behalf_of = std::string(256, '"'),
                                            .frontend = true}));
  EXPECT_EQ(decode_app_data(encode_app_data(kFull) + std::string(kMaxAppData, ' ')), std::nullopt);
}

}  // namespace
}  // namespace simplon::overlay::ziti
