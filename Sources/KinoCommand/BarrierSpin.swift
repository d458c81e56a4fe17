#if os(Linux)
  import Glibc

  /// Shortens the time that LibTorch's threads spin at barriers.
  ///
  /// GNU OpenMP spins for some milliseconds at every barrier before it sleeps. When other programs
  /// want the same cores, the spinning takes the time that the late thread needs, and work becomes
  /// several times slower. The library reads its setting when it is loaded, which is before `main`,
  /// so the program sets it and starts itself again, once.
  enum BarrierSpin {
    /// What computes without LibTorch's threads; restarting would only cost time.
    private static let exceptions = ["help", "world", "inspect"]

    static func restartWithShortSpin() {
      let verb = CommandLine.arguments.dropFirst().first
      guard let verb, !verb.hasPrefix("-"), !exceptions.contains(verb) else { return }
      // Also what keeps the second start from a third.
      if getenv("GOMP_SPINCOUNT") != nil || getenv("OMP_WAIT_POLICY") != nil { return }
      setenv("GOMP_SPINCOUNT", "1000", 1)
      // Returns only if it fails; then the program runs on as it is.
      execv("/proc/self/exe", CommandLine.unsafeArgv)
    }
  }
#else
  enum BarrierSpin {
    static func restartWithShortSpin() {}
  }
#endif
