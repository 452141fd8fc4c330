// OpenSSL's objects as owned values, for the few files that may know OpenSSL.
#pragma once

#include <memory>

namespace simplon::net {

template <auto kFree>
struct OpensslFree {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};

/// OpensslOwned<X509, X509_free>
template <class T, auto kFree>
using OpensslOwned = std::unique_ptr<T, OpensslFree<kFree>>;

}  // namespace simplon::net
