/** What locks have to know of processes. */
export interface Processes {
  /** The number of this process. */
  readonly own: number
  /** Whether a process with a number is there. */
  runs(pid: number): boolean
}
