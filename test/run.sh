#!/usr/bin/env bash
# The whole test run: static checks, the build, then the Vitest projects. Computation gets both cores to itself, so that it
# starves no browser; browsers mostly wait, so that several share the cores, and one core of fuzzing goes beside them.
# Ends with one line "N passed, N failed" over everything.
set -uo pipefail
cd "$(dirname "$0")/.."
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
failed_steps=0

run_step() {
  local name=$1
  shift
  echo "== $name"
  if ! "$@"; then
    echo "== $name FAILED"
    failed_steps=$((failed_steps + 1))
    return 1
  fi
}

run_project() {
  local name=$1
  shift
  run_step "tests: $name" npx vitest run --project "$name" "$@" \
    --reporter=default --reporter=json --outputFile.json="$reports/$name.json"
}

run_step "types" npm run --silent check:types
run_step "lint" npm run --silent check:lint
run_step "format" npm run --silent check:format
run_step "dead code" npm run --silent check:dead
run_step "build" npm run --silent build
run_project node --maxWorkers=3
run_project fuzz >"$reports/fuzz.log" 2>&1 &
run_project chromium
wait $! || failed_steps=$((failed_steps + 1))
cat "$reports/fuzz.log"
run_project e2e --maxWorkers=2

npx node test/setup/sum-reports.ts "$reports" "$failed_steps"
