package midge;

import java.nio.charset.StandardCharsets;
import java.util.Objects;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;

/**
 * A model and its engine. Any thread may call, several at once. Native code: midge_jni.cpp, which
 * finds Listener by its name: -keep interface midge.Midge$Listener { *; } for R8.
 */
public final class Midge implements AutoCloseable {
    /** Told on a thread of midge's own, which is attached to the virtual machine. Must not block. */
    public interface Listener {
        /** A part of the answer; false ends it. */
        boolean onText(byte[] utf8);
    }

    static {
        System.loadLibrary("midge_jni");
    }

    // Who uses the handle holds the first lock, who takes it away the second.
    private final ReadWriteLock uses = new ReentrantReadWriteLock();
    private long handle;
    private volatile boolean closing;

    /**
     * Opens a packed or GGUF file. cacheDir is where measured kernel rates are kept, for example
     * Context.getCacheDir(); null: nothing is written.
     */
    public Midge(String path, String cacheDir) {
        handle = open(path, cacheDir);
    }

    /** The answer to a text, part by part. Returns when it has ended. */
    public void answer(String text, int tokensMax, Listener listener) {
        Objects.requireNonNull(listener);
        byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
        uses.readLock().lock();
        try {
            answer(opened(), utf8, tokensMax, part -> !closing && listener.onText(part));
        } finally {
            uses.readLock().unlock();
        }
    }

    /**
     * For ComponentCallbacks2.onTrimMemory: gives memory back that is not needed now. Waits for the
     * pass that runs, so call it on a thread that draws nothing.
     */
    public void trim() {
        uses.readLock().lock();
        try {
            trim(opened());
        } finally {
            uses.readLock().unlock();
        }
    }

    /** Ends what is being answered, waits for that, and closes. Again: does nothing. */
    @Override
    public void close() {
        closing = true;
        uses.writeLock().lock();
        try {
            if (handle != 0) {
                close(handle);
            }
            handle = 0;
        } finally {
            uses.writeLock().unlock();
        }
    }

    private long opened() {
        if (handle == 0) {
            throw new IllegalStateException("closed");
        }
        return handle;
    }

    private static native long open(String path, String cacheDir);

    private static native void answer(long handle, byte[] utf8, int tokensMax, Listener listener);

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
