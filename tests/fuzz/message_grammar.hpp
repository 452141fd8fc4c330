// HTTP/1.1 messages that go wrong on purpose, for the fuzz targets `smuggling` (requests) and
// `responses`. The input chooses the productions; '@' stands for the mark of whoever speaks.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <fuzzer/FuzzedDataProvider.h>

namespace simplon::fuzz {

class MessageGrammar {
 protected:
  using View = std::string_view;

  /// A mark is five times one capital letter, so that "5" is the usual length.
  MessageGrammar(FuzzedDataProvider& choices, View mark) : choices_(choices), mark_(mark) {}

  // Mostly well-formed: what is refused at once reaches nothing behind it.
  bool odd() { return choices_.ConsumeIntegralInRange(0, 7) == 0; }

  template <std::size_t Size>
  View one_of(const std::array<View, Size>& of) {
    return choices_.PickValueInArray(of);
  }

  void put(std::string& out, View pattern) const {
    for (const char c : pattern) {
      c == '@' ? void(out.append(mark_)) : out.push_back(c);
    }
  }

  void line_end(std::string& out) { out += odd() ? one_of(kLineEnds) : "\r\n"; }

  // Bytes of the input itself, except what would look like a mark.
  void noise(std::string& out) {
    for (char c : choices_.ConsumeRandomLengthString(8)) {
      out.push_back(c >= 'A' && c <= 'Z' ? 'x' : c);
    }
  }

  void field(std::string& out, View name, View value) {
    put(out, name);
    out += odd() ? " : " : ": ";
    put(out, value);
    line_end(out);
  }

  void any_fields(std::string& out) {
    for (int left = choices_.ConsumeIntegralInRange(0, 3); left > 0; --left) {
      field(out, one_of(kNames), one_of(kValues));
    }
  }

  void chunks(std::string& out) {
    for (int left = choices_.ConsumeIntegralInRange(0, 2); left > 0; --left) {
      out += odd() ? one_of(kChunkLines) : "5";
      line_end(out);
      put(out, "@");
      line_end(out);
    }
    out += odd() ? one_of(kChunkLines) : "0";
    line_end(out);
    put(out, odd() ? one_of(kTrailers) : "");
    if (odd()) noise(out);
    line_end(out);
  }

  FuzzedDataProvider& choices_;
  View mark_;

 private:
  static constexpr std::array<View, 16> kNames{
      "Content-Length",
      "Transfer-Encoding",
      "content-length",
      "transfer-encoding",
      "Content-Length ",
      "Transfer-Encoding\t",
      " Content-Length",
      "Transfer_Encoding",
      "Connection",
      "Host",
      "Expect",
      "TE",
      "Upgrade",
      "Trailer",
      "X-@",
      "Content-Length\r\n ",
  };
  static constexpr std::array<View, 36> kValues{
      "5",
      "chunked",
      "0",
      "5, 5",
      "+5",
      "05",
      "6",
      "4",
      "5 5",
      "0x5",
      "18446744073709551621",
      "",
      "Chunked",
      "xchunked",
      "gzip, chunked",
      "chunked, chunked",
      "identity",
      "chunked;q=1",
      "\x0b"
      "chunked",
      "close",
      "keep-alive",
      "Content-Length, Host",
      "Transfer-Encoding",
      "Upgrade",
      "upgrade, HTTP2-Settings",
      "h2c",
      "websocket",
      "100-continue",
      "x",
      "trailers",
      "@",
      "@\r\n @",
      "a\rb",
      "a\nContent-Length: 5",
      "a\r\n\r\nGET /@ HTTP/1.1",
      "5\r\nTransfer-Encoding: chunked",
  };
  static constexpr std::array<View, 20> kChunkLines{
      "5",
      "05",
      "5;a=b",
      "5 ",
      "+5",
      "0x5",
      "5;\n",
      "5\r",
      "6",
      "4",
      "",
      "g",
      "5;a=\"\r\n\"",
      "00000000000000005",
      "ffffffffffffffff",
      "-5",
      "5;a",
      "5\t",
      "1",
      "5;\r",
  };
  static constexpr std::array<View, 8> kLineEnds{"\r\n", "\r\n", "\r\n",   "\r\n",
                                                 "\n",   "\r",   "\r\r\n", "\n\r"};
  static constexpr std::array<View, 8> kTrailers{
      "",          "X: @\r\n", "Content-Length: 5\r\n",          "Host: @\r\n", "Bad Name: x\r\n",
      "X : @\r\n", "X: 1\n",   "Transfer-Encoding: chunked\r\n",
  };
};

}  // namespace simplon::fuzz
