#include "codecs/base/base64.h"

#include <gtest/gtest.h>

namespace ifgw {
namespace {

std::string encoded(std::string_view bytes) {
  std::string out;
  encode_base64(bytes, out);
  return out;
}

// RFC 4648 section 10.
TEST(Base64, TheVectorsOfTheRfc) {
  const std::pair<std::string_view, std::string_view> vectors[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(encoded(plain), text);
    EXPECT_EQ(decode_base64(text), plain);
  }
}

TEST(Base64, EveryByteComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all.push_back(static_cast<char>(i));
  for (std::size_t cut = 0; cut < 3; ++cut) EXPECT_EQ(decode_base64(encoded(all.substr(cut))), all.substr(cut));
}

TEST(Base64, WhatNoEncoderWritesIsRefused) {
  for (const char* text :
       {"Z", "Zg=", "Zg", "====", "Zg==Zg==", "Z===", "Zh==", "Zm9=", "Zm9 ", "Zm9\n", "Zm-v", "=g==", "Zg=v", "\xff\xff\xff\xff"})
    EXPECT_FALSE(decode_base64(text)) << text;
}

}  // namespace
}  // namespace ifgw
