package midge;

/** A model, its engine, and one answer at a time. Native code: midge_jni.cpp. */
public final class Midge implements AutoCloseable {
    /** Told on a thread of midge's own, which is attached to the virtual machine. Must not block. */
    public interface Listener {
        /** A part of the answer; false ends it. */
        boolean onText(byte[] utf8);
    }

    static {
        System.loadLibrary("midge_jni");
    }

    private long handle;

    /**
     * Opens a packed or GGUF file. cacheDir is where measured kernel rates are kept, for example
     * Context.getCacheDir(); null: nothing is written.
     */
    public Midge(String path, String cacheDir) {
        handle = open(path, cacheDir);
    }

    /** The answer to a text, part by part. Returns when it has ended. */
    public void answer(String text, int tokensMax, Listener listener) {
        answer(handle, text, tokensMax, listener);
    }

    /** For ComponentCallbacks2.onTrimMemory: gives memory back that is not needed now. */
    public void trim() {
        trim(handle);
    }

    @Override
    public void close() {
        close(handle);
        handle = 0;
    }

    private static native long open(String path, String cacheDir);

    private static native void answer(long handle, String text, int tokensMax, Listener listener);

    private static native void trim(long handle);

    private static native void close(long handle);

    /** usage: java midge.Midge MODEL TEXT */
    public static void main(String[] arguments) {
        try (Midge midge = new Midge(arguments[0], null)) {
            midge.answer(arguments[1], 20, utf8 -> {
                System.out.write(utf8, 0, utf8.length);
                return true;
            });
            System.out.println();
        }
    }
}
