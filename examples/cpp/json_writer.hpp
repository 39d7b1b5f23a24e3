// Copyright 2026 emotion_estimator maintainers

// Every field of the package's messages as JSON; a list of what there is to read.

#pragma once

#include <cmath>
#include <cstdint>
#include <iomanip>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "builtin_interfaces/msg/time.hpp"
#include "emotion_estimator/msg/dialogue_action.hpp"
#include "emotion_estimator/msg/emotion.hpp"
#include "emotion_estimator/msg/emotion_array.hpp"
#include "sensor_msgs/msg/region_of_interest.hpp"
#include "std_msgs/msg/header.hpp"

class JsonWriter
{
public:
  explicit JsonWriter(std::ostream & out)
  : out_(out)
  {
    // Enough digits that each float32 is read back as the same number.
    out_ << std::setprecision(std::numeric_limits<float>::max_digits10);
  }

  void write(const emotion_estimator::msg::Emotion & message)
  {
    object(
      "header", message.header,
      "face_id", message.face_id,
      "label", message.label,
      "confidence", message.confidence,
      "labels", message.labels,
      "probabilities", message.probabilities,
      "blendshapes", message.blendshapes,
      "roi", message.roi,
      "model", message.model,
      "latency", message.latency,
      "valence", message.valence,
      "arousal", message.arousal,
      "head_yaw", message.head_yaw,
      "head_pitch", message.head_pitch,
      "head_roll", message.head_roll,
      "gaze_yaw", message.gaze_yaw,
      "gaze_pitch", message.gaze_pitch,
      "looks_at_camera", message.looks_at_camera,
      "speaking", message.speaking,
      "is_speaking", message.is_speaking);
  }

  void write(const emotion_estimator::msg::EmotionArray & message)
  {
    object("header", message.header, "emotions", message.emotions);
  }

  void write(const emotion_estimator::msg::DialogueAction & message)
  {
    object(
      "header", message.header,
      "action", message.action,
      "topic", message.topic,
      "approach", message.approach,
      "utterance", message.utterance,
      "reason", message.reason,
      "emotion", message.emotion,
      "confidence", message.confidence,
      "rule", message.rule,
      "face_id", message.face_id,
      "suppressed", message.suppressed,
      "line", message.line);
  }

  void write(const std_msgs::msg::Header & header)
  {
    object("stamp", header.stamp, "frame_id", header.frame_id);
  }

  void write(const builtin_interfaces::msg::Time & time)
  {
    object("sec", time.sec, "nanosec", time.nanosec);
  }

  void write(const sensor_msgs::msg::RegionOfInterest & roi)
  {
    object(
      "x_offset", roi.x_offset, "y_offset", roi.y_offset,
      "height", roi.height, "width", roi.width, "do_rectify", roi.do_rectify);
  }

  void write(std::int32_t number) {out_ << number;}

  void write(std::uint32_t number) {out_ << number;}

  void write(bool truth) {out_ << (truth ? "true" : "false");}

  void write(float number)
  {
    // Not JSON's, but understood by the readers of most languages.
    if (std::isnan(number)) {
      out_ << "NaN";
    } else if (std::isinf(number)) {
      out_ << (number < 0 ? "-Infinity" : "Infinity");
    } else {
      out_ << number;
    }
  }

  void write(const std::string & text)
  {
    static const char digits[] = "0123456789abcdef";
    out_ << '"';
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_ << '\\' << c;
      } else if (byte < 0x20) {
        out_ << "\\u00" << digits[byte >> 4] << digits[byte & 15];
      } else {
        out_ << c;
      }
    }
    out_ << '"';
  }

  template<typename Value>
  void write(const std::vector<Value> & values)
  {
    out_ << '[';
    const char * separator = "";
    for (const auto & value : values) {
      out_ << separator;
      write(value);
      separator = ", ";
    }
    out_ << ']';
  }

  /// Write names and values in turn as one object.
  template<typename ... NamesAndValues>
  void object(const NamesAndValues & ... names_and_values)
  {
    out_ << '{';
    fields(names_and_values ...);
    out_ << '}';
  }

private:
  template<typename Value, typename ... Rest>
  void fields(const char * name, const Value & value, const Rest & ... rest)
  {
    out_ << '"' << name << "\": ";
    write(value);
    if constexpr (sizeof...(rest) > 0) {
      out_ << ", ";
      fields(rest ...);
    }
  }

  std::ostream & out_;
};
