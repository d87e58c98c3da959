import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { WaitBudget } from '../../src/wait-budget.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }))
afterEach(() => void vi.useRealTimers())

/** Waits, or works, for a number of milliseconds. */
const pass = (milliseconds: number) => void vi.advanceTimersByTime(milliseconds)

/** How long a wait that begins now may last. */
const left = (budget: WaitBudget) => budget.begin().deadline - performance.now()

test('what is waited for one after the other shares the time, which comes back while the command works', () => {
  const budget = new WaitBudget(30_000)
  const opening = budget.begin()
  pass(20_000)
  opening.over()
  expect(left(budget)).toBe(10_000)
  const change = budget.begin()
  pass(8000)
  // From here on it works, for as long as it likes.
  change.over()
  expect(left(budget)).toBe(2000)
  pass(5000)
  change.over()
  expect(left(budget)).toBe(7000)
  pass(3_600_000)
  expect(left(budget)).toBe(30_000)
})

test('an answer that comes soon was not waited for', () => {
  const budget = new WaitBudget(3000)
  const first = budget.begin()
  pass(2500)
  first.over()
  for (let n = 0; n < 10; n++) {
    const answer = budget.begin()
    pass(100)
    answer.over()
  }
  expect(left(budget)).toBe(1500)
})

test('of waits at the same time, each counts once', () => {
  const budget = new WaitBudget(30_000)
  const waits = [budget.begin(), budget.begin()]
  pass(10_000)
  for (const wait of waits) wait.over()
  expect(left(budget)).toBe(20_000)
})

test('a wait that took longer than it was to leaves nothing, and no debt', () => {
  const budget = new WaitBudget(1000)
  const wait = budget.begin()
  pass(5000)
  wait.over()
  expect(left(budget)).toBe(0)
  pass(200)
  expect(left(budget)).toBe(200)
})
