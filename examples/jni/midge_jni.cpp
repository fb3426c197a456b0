// A Java binding of midge: the native half of Midge.java. On Android it is linked with libmidge.a
// and packed into the app as libmidge_jni.so. Its functions may be called from any thread of
// Java's.
#include <memory>
#include <string>

#include <jni.h>
#include <midge/midge.hpp>

namespace {

JavaVM* vm = nullptr;

// The engine calls back on a thread that Java does not know. It is attached before its first call
// into Java, and detached when it ends.
struct Attachment {
  JNIEnv* env = nullptr;
  Attachment() {
#if defined(__ANDROID__)
    vm->AttachCurrentThread(&env, nullptr);
#else
    vm->AttachCurrentThread(reinterpret_cast<void**>(&env), nullptr);
#endif
  }
  ~Attachment() { vm->DetachCurrentThread(); }
};

JNIEnv* attached_env() {
  static thread_local Attachment attachment;
  return attachment.env;
}

struct Opened {
  midge::Model model;
  midge::Engine engine;  // ended first
};

// Who listens to one answer. The listener is a global reference, as another thread uses it.
struct Listening {
  jobject listener = nullptr;
  jmethodID on_text = nullptr;
};

int32_t tell(void* user, const midge_event* event) {
  const auto* listening = static_cast<const Listening*>(user);
  JNIEnv* env = attached_env();
  if (env == nullptr) return 1;
  // Bytes, not a string: a token may end within a character.
  const auto bytes = static_cast<jsize>(event->text_bytes);
  jbyteArray text = env->NewByteArray(bytes);
  if (text == nullptr) {
    env->ExceptionClear();
    return 1;
  }
  env->SetByteArrayRegion(text, 0, bytes, reinterpret_cast<const jbyte*>(event->text));
  const bool goes_on = env->CallBooleanMethod(listening->listener, listening->on_text, text);
  const bool threw = env->ExceptionCheck();
  // There is no caller in Java who could catch it.
  if (threw) env->ExceptionClear();
  env->DeleteLocalRef(text);  // the thread never returns to Java, which would do it
  return goes_on && !threw ? 0 : 1;
}

void throw_error(JNIEnv* env, const midge::Error& error) {
  env->ThrowNew(env->FindClass("java/lang/IllegalStateException"), error.text.c_str());
}

// Of paths: UTF-8 as Java modifies it, which differs for characters beyond U+FFFF and for zeros.
std::string to_text(JNIEnv* env, jstring given) {
  if (given == nullptr) return "";
  const char* chars = env->GetStringUTFChars(given, nullptr);
  std::string text = chars == nullptr ? "" : chars;
  if (chars != nullptr) env->ReleaseStringUTFChars(given, chars);
  return text;
}

std::string to_text(JNIEnv* env, jbyteArray given) {
  std::string text(static_cast<size_t>(env->GetArrayLength(given)), '\0');
  env->GetByteArrayRegion(given, 0, static_cast<jsize>(text.size()),
                          reinterpret_cast<jbyte*>(text.data()));
  return text;
}

}  // namespace

extern "C" {

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM* loaded, void*) {
  vm = loaded;
  return JNI_VERSION_1_6;
}

JNIEXPORT jlong JNICALL Java_midge_Midge_open(JNIEnv* env, jclass, jstring path, jstring cache) {
  const std::string cache_dir = to_text(env, cache);
  midge::ModelOptions options;
  if (!cache_dir.empty()) {
    options.calibrate = 1;
    options.cache_dir = cache_dir.c_str();
  }
  auto model = midge::Model::open(to_text(env, path), options);
  if (!model) {
    throw_error(env, model.error());
    return 0;
  }
  auto engine = midge::Engine::create(*model);
  if (!engine) {
    throw_error(env, engine.error());
    return 0;
  }
  return reinterpret_cast<jlong>(new Opened{std::move(*model), std::move(*engine)});
}

JNIEXPORT void JNICALL Java_midge_Midge_answer(JNIEnv* env, jclass, jlong handle, jbyteArray utf8,
                                               jint tokens_max, jobject listener) {
  auto* opened = reinterpret_cast<Opened*>(handle);
  Listening listening;
  listening.on_text = env->GetMethodID(env->GetObjectClass(listener), "onText", "([B)Z");
  if (listening.on_text == nullptr) return;  // with an exception: something renamed it
  listening.listener = env->NewGlobalRef(listener);
  midge::Request request;
  request.text = to_text(env, utf8);
  request.more.tokens_max = tokens_max;
  request.more.on_event = tell;
  request.more.user = &listening;
  const auto id = opened->engine.submit(request);
  if (id) (void)opened->engine.wait(*id);
  env->DeleteGlobalRef(listening.listener);
  if (!id) throw_error(env, id.error());
}

JNIEXPORT void JNICALL Java_midge_Midge_trim(JNIEnv*, jclass, jlong handle) {
  (void)reinterpret_cast<Opened*>(handle)->engine.trim();
}

JNIEXPORT void JNICALL Java_midge_Midge_close(JNIEnv*, jclass, jlong handle) {
  delete reinterpret_cast<Opened*>(handle);
}

}  // extern "C"
