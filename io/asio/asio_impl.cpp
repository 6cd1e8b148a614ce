// The one place where Asio itself is compiled; everyone else includes declarations
// (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/impl/src.hpp>
