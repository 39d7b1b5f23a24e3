// Copyright 2026 emotion_estimator maintainers

// One message from a file of serialized (CDR) bytes.

#pragma once

#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>

#ifdef WITH_RCLCPP
#include "rclcpp/serialization.hpp"
#include "rclcpp/serialized_message.hpp"
#else
#include "emotion_estimator/msg/detail/dialogue_action__rosidl_typesupport_fastrtps_cpp.hpp"
#include "emotion_estimator/msg/detail/emotion__rosidl_typesupport_fastrtps_cpp.hpp"
#include "emotion_estimator/msg/detail/emotion_array__rosidl_typesupport_fastrtps_cpp.hpp"
#include "fastcdr/Cdr.h"
#include "fastcdr/FastBuffer.h"
#include "fastcdr/exceptions/Exception.h"
#endif

#ifdef WITH_RCLCPP

/// Deserialize as a subscription does. Throws where the bytes are no such message.
template<typename Message>
Message deserialize(std::string bytes)
{
  rclcpp::SerializedMessage serialized(bytes.size());
  auto & buffer = serialized.get_rcl_serialized_message();
  std::memcpy(buffer.buffer, bytes.data(), bytes.size());
  buffer.buffer_length = bytes.size();
  Message message;
  rclcpp::Serialization<Message>().deserialize_message(&serialized, &message);
  return message;
}

#else

/// Deserialize with Fast DDS's type support, which rclcpp would call. Throws where the bytes are
/// no such message.
template<typename Message>
Message deserialize(std::string bytes)
{
  using emotion_estimator::msg::typesupport_fastrtps_cpp::cdr_deserialize;
  eprosima::fastcdr::FastBuffer buffer(bytes.data(), bytes.size());
  eprosima::fastcdr::Cdr cdr(
    buffer, eprosima::fastcdr::Cdr::DEFAULT_ENDIAN, eprosima::fastcdr::CdrVersion::XCDRv1);
  Message message;
  try {
    cdr.read_encapsulation();
    cdr_deserialize(cdr, message);
  } catch (const eprosima::fastcdr::exception::Exception & error) {
    // Not derived from std::exception.
    throw std::runtime_error(error.what());
  }
  return message;
}

#endif

/// Read the message in the file at `path`.
/// Throws std::runtime_error with one line where there is none.
template<typename Message>
Message read_message(const std::string & path)
{
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file || bytes.empty()) {
    throw std::runtime_error(path + " cannot be read or is empty");
  }
  try {
    return deserialize<Message>(bytes);
  } catch (const std::exception & error) {
    throw std::runtime_error(path + " holds no such message: " + error.what());
  }
}
