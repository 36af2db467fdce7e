;; expect: runs
;; A name section that is none. Names are for people; a host that reads them for a backtrace must not fail over
;; them.
(module
  (@custom "name" "\01\ff\ff\ff\ff\0f\ff")
  (func (export "run")))
