#!/bin/sh
# Prints a recording of this machine's CPU topology, in the format of
# tests/data/topologies/README.md: the Linux files that say what the CPU cores are, one line each.
# It only reads. A file that is missing or cannot be read is left out; that is no error.
# usage: tools/record_topology.sh [DEVICE] > NAME.txt
#   DEVICE  the name of the device, for the first comment
# On an Android phone:
#   adb push tools/record_topology.sh /data/local/tmp/
#   adb shell sh /data/local/tmp/record_topology.sh "'Phone, chip'" > NAME.txt
# Needs a POSIX shell and cat; it uses uname, getprop and taskset where they exist.
# Lines of /proc/cpuinfo with a serial number are left out.

cpus=sys/devices/system/cpu

# emit PATH VALUE: one line of the recording. An empty value ends at the colon.
emit() {
  if [ -n "$2" ]; then
    printf '%s: %s\n' "$1" "$2"
  else
    printf '%s:\n' "$1"
  fi
}

# record PATH: the lines of the file /PATH, if it can be read. cat reads it in large pieces: a shell
# may read byte by byte, and then some files of /sys give nothing.
record() {
  [ -r "/$1" ] || return 0
  # shellcheck disable=SC2002
  cat "/$1" 2>/dev/null | while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      Serial*) ;;
      *) emit "$1" "$line" ;;
    esac
  done
  return 0
}

# append FIRST LAST: adds cores FIRST to LAST to $list.
append() {
  range=$1
  [ "$1" -eq "$2" ] || range=$1-$2
  list=${list:+$list,}$range
}

# mask_to_list MASK: sets $list to the cores of a hexadecimal mask, as in 0-3,6.
mask_to_list() {
  mask=$1
  list=
  core=0
  first=
  while [ -n "$mask" ]; do
    rest=${mask%?}
    digit=${mask#"$rest"}
    mask=$rest
    case $digit in
      [0-9]) value=$digit ;;
      [aA]) value=10 ;;
      [bB]) value=11 ;;
      [cC]) value=12 ;;
      [dD]) value=13 ;;
      [eE]) value=14 ;;
      [fF]) value=15 ;;
      *) continue ;;
    esac
    for bit in 1 2 4 8; do
      if [ $((value & bit)) -ne 0 ]; then
        first=${first:-$core}
      elif [ -n "$first" ]; then
        append "$first" $((core - 1))
        first=
      fi
      core=$((core + 1))
    done
  done
  [ -z "$first" ] || append "$first" $((core - 1))
}

# record_auxv TAG PATH: the hexadecimal value of an entry of the auxiliary vector, where the loader
# of glibc shows it. Some versions show names instead of a number: then it is left out.
record_auxv() {
  LD_SHOW_AUXV=1 /bin/true 2>/dev/null | while read -r tag value; do
    [ "$tag" = "$1:" ] || continue
    value=${value#0x}
    case $value in
      '' | *[!0-9a-fA-F]*) ;;
      *) emit "$2" "0x$value" ;;
    esac
  done
}

record_affinity() {
  list=
  answer=$(taskset -p $$ 2>/dev/null) || answer=
  case $answer in
    *mask:*) mask_to_list "${answer##* }" ;;
  esac
  if [ -z "$list" ]; then
    {
      while read -r key value; do
        [ "$key" != Cpus_allowed_list: ] || list=$value
      done </proc/self/status
    } 2>/dev/null
  fi
  [ -z "$list" ] || emit affinity "$list"
}

device=${1:-}
[ -n "$device" ] || device=$(getprop ro.product.model 2>/dev/null) || device=
[ -n "$device" ] || device=unknown
printf '# Device: %s\n' "$device"
printf '# Recorded on the device by tools/record_topology.sh.\n'
printf '# Kernel: %s\n' "$(uname -srm 2>/dev/null)"
chip=$(getprop ro.soc.model 2>/dev/null) || chip=
[ -z "$chip" ] || printf '# Chip: %s\n' "$chip"

record $cpus/possible
record $cpus/online

last=-1
for directory in "/$cpus"/cpu[0-9]*; do
  number=${directory##*/cpu}
  case $number in
    *[!0-9]*) continue ;;
  esac
  [ "$number" -le "$last" ] || last=$number
done

cpu=0
while [ "$cpu" -le "$last" ]; do
  path=$cpus/cpu$cpu
  record $path/cpu_capacity
  record $path/cpufreq/cpuinfo_max_freq
  record $path/topology/physical_package_id
  record $path/topology/core_id
  record $path/topology/thread_siblings_list
  for index in 0 1 2 3 4 5; do
    record $path/cache/index$index/level
    record $path/cache/index$index/type
    record $path/cache/index$index/size
    record $path/cache/index$index/shared_cpu_list
  done
  record $path/regs/identification/midr_el1
  cpu=$((cpu + 1))
done

record proc/cpuinfo
record sys/fs/cgroup/cpu.max
record sys/fs/cgroup/cpuset.cpus.effective
record_auxv AT_HWCAP auxv/hwcap
record_auxv AT_HWCAP2 auxv/hwcap2
record_affinity
exit 0
