/* Takes the machine over as an operating system's loader does, and asks runtime services afterwards. It returns a hash of
   the answers; on amd64 it prints them on the serial port, "C:name value" each, as there is no console any more. */
#define PUT_LINE put_line
#include "answers.h"

static uint64_t hash = 0xcbf29ce484222325;

static const uint8_t before_exit[16] = EFI_EVENT_GROUP_BEFORE_EXIT_BOOT_SERVICES_GUID;
static const uint8_t at_exit[16] = EFI_EVENT_GROUP_EXIT_BOOT_SERVICES_GUID;
static const uint8_t at_change[16] = EFI_EVENT_GROUP_VIRTUAL_ADDRESS_CHANGE_GUID;
static uint64_t told[3], converted, convert_status[4];
static uint8_t map[65536];
static uint64_t size, key, stride;
static uint32_t version;

static void put(uint8_t value) {
  hash = (hash ^ value) * 0x100000001b3;
#ifdef __x86_64__
  __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"((uint16_t)0x3f8));
#endif
}

static void put_line(const uint16_t *line) {
  for (; *line; line++) put(*line);
}

static void EFIAPI note(void *event, void *context) {
  (void)event;
  ++*(uint64_t *)context;
}

static void EFIAPI change(void *event, void *context) {
  (void)event;
  ++*(uint64_t *)context;
  uint64_t pointer = (uint64_t)rs, none = 0, elsewhere = 0xfffffffffffff000;
  convert_status[0] = rs->ConvertPointer(0, P(&pointer));
  converted = pointer == (uint64_t)rs;
  convert_status[1] = rs->ConvertPointer(0, P(&none));
  convert_status[2] = rs->ConvertPointer(1, P(&none));
  convert_status[3] = rs->ConvertPointer(0, P(&elsewhere));
}

static uint64_t take_map(void) {
  size = sizeof map;
  return bs->GetMemoryMap(P(&size), map, P(&key), P(&stride), P(&version));
}

static uint32_t crc(const uint8_t *data, uint64_t count, uint64_t hole) {
  uint32_t value = ~0u;
  for (uint64_t i = 0; i < count; i++) {
    value ^= i - hole < 4 ? 0 : data[i];
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value;
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  take_services(table);
  static uint16_t boot_only[] = {'b', 'o', 'o', 't', '-', 'o', 'n', 'l', 'y', 0}, both[] = {'b', 'o', 't', 'h', 0};
  static uint16_t setup[] = {'S', 'e', 't', 'u', 'p', 'M', 'o', 'd', 'e', 0};
  uint8_t data[16] = {1, 2, 3};
  void *events[3];
  rs->SetVariable(boot_only, P(at_exit), 2, 3, data);
  rs->SetVariable(both, P(at_exit), 6, 3, data);
  bs->CreateEventEx(0x200, 8, P(note), &told[0], P(before_exit), P(&events[0]));
  bs->CreateEventEx(0x200, 16, P(note), &told[1], P(at_exit), P(&events[1]));
  bs->CreateEventEx(0x200, 16, P(change), &told[2], P(at_change), P(&events[2]));
  uint64_t status = take_map();
  uint64_t at = 0, early = rs->SetVirtualAddressMap(stride, stride, 1, map);
  bs->AllocatePages(0, 2, 1, P(&at));
  uint64_t stale = bs->ExitBootServices(image, key);
  uint64_t before = told[0], exit_told = told[1];
  uint64_t again = take_map();
  uint64_t left = bs->ExitBootServices(image, key);
  show("map", status);
  show("change-early", early);
  show("exit-stale", stale);
  show("told-before", before);
  show("told-exit-stale", exit_told);
  show("map-again", again);
  show("exit", left);
  show("told-before-once", told[0]);
  show("told-exit", told[1]);
  show("no-boot-services", st->BootServices == 0);
  show("no-console", !st->ConOut && !st->ConIn && !st->StdErr && !st->ConsoleOutHandle && !st->ConsoleInHandle);
  show("runtime-services", st->RuntimeServices == rs);
  show("table-crc", *(uint32_t *)(st->Hdr + 16) == crc(P(st), *(uint32_t *)(st->Hdr + 12), 16));
  uint64_t count = sizeof data;
  uint32_t attributes = 0;
  show("variable", rs->GetVariable(setup, P(global), P(&attributes), P(&count), data));
  show("variable-attributes", attributes);
  count = sizeof data;
  show("variable-both", rs->GetVariable(both, P(at_exit), 0, P(&count), data));
  count = sizeof data;
  show("variable-boot-only", rs->GetVariable(boot_only, P(at_exit), 0, P(&count), data));
  show("set-boot-only", rs->SetVariable(boot_only, P(at_change), 2, 3, data));
  show("set-volatile", rs->SetVariable(both, P(at_exit), 6, 3, data));
  show("delete-volatile", rs->SetVariable(both, P(at_exit), 6, 0, 0));
  show("new-volatile", rs->SetVariable(setup, P(at_change), 6, 3, data));
  show("set-kept", rs->SetVariable(setup, P(at_exit), 7, 3, data));
  show("delete-kept", rs->SetVariable(setup, P(at_exit), 7, 0, 0));
  show("time", rs->GetTime(data, 0));
  show("change-version", rs->SetVirtualAddressMap(size, stride, 2, map));
  show("change-stride", rs->SetVirtualAddressMap(size, 8, version, map));
  uint64_t used = 0;
  static uint8_t runtime[16384];
  for (uint64_t i = 0; i < size; i += stride) {
    if (!(*(uint64_t *)(map + i + 32) >> 63) || used + stride > sizeof runtime) continue;
    for (uint64_t j = 0; j < stride; j++) runtime[used + j] = map[i + j];
    *(uint64_t *)(runtime + used + 16) = *(uint64_t *)(runtime + used + 8); /* one to one, as FreeBSD's loader has it */
    used += stride;
  }
  show("change", rs->SetVirtualAddressMap(used, stride, version, runtime));
  show("told-change", told[2]);
  show("convert", convert_status[0]);
  show("converted", converted);
  show("convert-null", convert_status[1]);
  show("convert-null-optional", convert_status[2]);
  show("convert-elsewhere", convert_status[3]);
  show("change-again", rs->SetVirtualAddressMap(used, stride, version, runtime));
  show("runtime-services-changed", st->RuntimeServices == rs);
  show("table-crc-changed", *(uint32_t *)(st->Hdr + 16) == crc(P(st), *(uint32_t *)(st->Hdr + 12), 16));
  show("runtime-crc-changed", *(uint32_t *)(rs->Hdr + 16) == crc(P(rs), *(uint32_t *)(rs->Hdr + 12), 16));
  show("time-changed", rs->GetTime(data, 0));
  count = sizeof data;
  show("variable-changed", rs->GetVariable(both, P(at_exit), 0, P(&count), data));
  show("end", 0);
  return hash >> 1;
}
