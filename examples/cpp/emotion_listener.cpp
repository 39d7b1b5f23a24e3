// Copyright 2026 emotion_estimator maintainers

// The least a dialogue node in C++ needs: hear /emotion and act when the label changes.
//
//   emotion_listener                      live; what follows --ros-args is ROS's, as always
//   emotion_listener --read KIND FILE...  every field of serialized messages, a line of JSON each
//   emotion_listener --constants          the labels that the message's definition names
//
// KIND is Emotion, EmotionArray or DialogueAction. A file holds one message as rclpy's
// serialize_message() or a bag has it. Built without rclcpp, only the last two work.

#include <exception>
#include <iostream>
#include <string>

#include "emotion_estimator/msg/dialogue_action.hpp"
#include "emotion_estimator/msg/emotion.hpp"
#include "emotion_estimator/msg/emotion_array.hpp"

#include "json_writer.hpp"
#include "read_message.hpp"

using emotion_estimator::msg::DialogueAction;
using emotion_estimator::msg::Emotion;
using emotion_estimator::msg::EmotionArray;

#ifdef WITH_RCLCPP
#include <cstdio>
#include <memory>

#include "rclcpp/rclcpp.hpp"

/// Logs every change of the primary face's label.
class EmotionListener : public rclcpp::Node
{
public:
  EmotionListener()
  : Node("emotion_listener")
  {
    // Relative, so that a namespace moves it; /emotion is reliable and ten messages deep.
    subscription_ = create_subscription<Emotion>(
      "emotion", 10, [this](Emotion::ConstSharedPtr message) {hear(*message);});
  }

private:
  void hear(const Emotion & message)
  {
    if (message.label == label_) {
      return;
    }
    label_ = message.label;
    // Every image is answered, also one without a face: silence means that the node is gone.
    if (message.label == Emotion::LABEL_NONE) {
      RCLCPP_INFO(get_logger(), "nobody is there");
    } else if (message.label == Emotion::LABEL_UNKNOWN) {
      RCLCPP_INFO(get_logger(), "%s is hard to read", message.face_id.c_str());
    } else {
      RCLCPP_INFO(
        get_logger(), "%s looks %s (%.2f)",
        message.face_id.c_str(), message.label.c_str(), message.confidence);
    }
  }

  std::string label_;
  rclcpp::Subscription<Emotion>::SharedPtr subscription_;
};
#endif

/// Print every field of the message in each of the files.
template<typename Message>
void print_files(int count, char ** paths)
{
  JsonWriter json(std::cout);
  for (int i = 0; i < count; ++i) {
    json.write(read_message<Message>(paths[i]));
    std::cout << '\n';
  }
}

void print_constants()
{
  JsonWriter json(std::cout);
  json.object(
    "LABEL_HAPPY", Emotion::LABEL_HAPPY, "LABEL_UNKNOWN", Emotion::LABEL_UNKNOWN,
    "LABEL_SAD", Emotion::LABEL_SAD, "LABEL_NONE", Emotion::LABEL_NONE,
    "LABEL_ANGRY", Emotion::LABEL_ANGRY, "LABEL_DISGUST", Emotion::LABEL_DISGUST,
    "LABEL_FEAR", Emotion::LABEL_FEAR, "LABEL_SURPRISE", Emotion::LABEL_SURPRISE,
    "LABEL_NEUTRAL", Emotion::LABEL_NEUTRAL);
  std::cout << '\n';
}

int listen(int argc, char ** argv)
{
#ifdef WITH_RCLCPP
  rclcpp::init(argc, argv);
  rclcpp::spin(std::make_shared<EmotionListener>());
  rclcpp::shutdown();
  return 0;
#else
  (void)argc;
  std::cerr << "built without rclcpp: " << argv[0] << " --read KIND FILE... or --constants\n";
  return 2;
#endif
}

int main(int argc, char ** argv)
{
  const std::string verb = argc > 1 ? argv[1] : "";
  try {
    if (verb == "--constants") {
      print_constants();
      return 0;
    }
    if (verb != "--read") {
      return listen(argc, argv);
    }
    const std::string kind = argc > 2 ? argv[2] : "";
    if (kind == "Emotion") {
      print_files<Emotion>(argc - 3, argv + 3);
    } else if (kind == "EmotionArray") {
      print_files<EmotionArray>(argc - 3, argv + 3);
    } else if (kind == "DialogueAction") {
      print_files<DialogueAction>(argc - 3, argv + 3);
    } else {
      std::cerr << "--read knows Emotion, EmotionArray and DialogueAction, not '" << kind << "'\n";
      return 2;
    }
  } catch (const std::exception & error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
