/* More programs that do what no program may; LoadOptions choose one by a letter. Each ends by itself or in an error. */
#include <efi.h>
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Warray-bounds"

static EFI_SYSTEM_TABLE *st;
static EFI_BOOT_SERVICES *bs;
static EFI_RUNTIME_SERVICES *rs;
static void *self;
uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table);
static void *const wild = (void *)0x7ead00000000;
static const uint8_t mine[16] = {0xcb, 1};
static void *event;
static uint64_t count;

static void EFIAPI again(void *which, void *context) {
  (void)context;
  count++;
  if (count < 100000) bs->SignalEvent(which);
}
static void EFIAPI closes(void *which, void *context) {
  (void)context;
  bs->CloseEvent(which);
  bs->CloseEvent(which);
}
static void EFIAPI exits(void *which, void *context) {
  (void)which;
  (void)context;
  bs->Exit(self, 0, 0, 0);
}
static void EFIAPI waits(void *which, void *context) {
  (void)which;
  (void)context;
  uint64_t index;
  count = bs->WaitForEvent(1, (void *)&event, (void *)&index);
}
static void notify(uint32_t type, void *function, uint64_t level) {
  bs->CreateEvent(type, level, function, 0, (void *)&event);
  bs->SignalEvent(event);
}
/* A device path without an end, in a page that ends with it. */
static void *endless(void) {
  uint8_t *page = 0;
  bs->AllocatePages(0, 2, 1, (void *)&page);
  for (int i = 0; i < 4096; i += 4) page[i] = 4, page[i + 1] = 4, page[i + 2] = 4, page[i + 3] = 0;
  return page;
}
static void *zero_length(void) {
  static uint8_t node[64] = {4, 4, 0, 0};
  return node;
}
static void paths(void *path) {
  void *found = 0, *handle = 0, *moved = path;
  static const uint8_t file_system[16] = {0x22, 0x5b, 0x4e, 0x96, 0x59, 0x64, 0xd2, 0x11, 0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b};
  static const uint8_t device_path[16] = {0x91, 0x6e, 0x57, 0x09, 0x3f, 0x6d, 0xd2, 0x11, 0x8e, 0x39, 0, 0xa0, 0xc9, 0x69, 0x72, 0x3b};
  bs->LocateDevicePath((void *)file_system, (void *)&moved, (void *)&found);
  bs->LoadImage(0, self, path, 0, 0, (void *)&found);
  bs->LoadImage(1, self, path, (void *)efi_main, 4096, (void *)&found);
  bs->InstallProtocolInterface((void *)&handle, (void *)device_path, 0, path);
  bs->InstallMultipleProtocolInterfaces((void *)&handle, mine, (void *)0, device_path, path, (void *)0);
  bs->ConnectController(handle, 0, path, 1);
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  self = image;
  st = table;
  bs = table->BootServices;
  rs = table->RuntimeServices;
  static const uint8_t guid[] = EFI_LOADED_IMAGE_PROTOCOL_GUID;
  EFI_LOADED_IMAGE_PROTOCOL *me = 0;
  bs->HandleProtocol(image, (void *)guid, (void *)&me);
  uint16_t choice = *(uint16_t *)me->LoadOptions;
  uint64_t value = 0, status = 0;
  void *pointer = 0;
  switch (choice) {
  case 'a': /* wild output pointers, everywhere */
    bs->AllocatePool(2, 16, wild);
    return 1;
  case 'b': bs->GetMemoryMap(wild, 0, 0, 0, 0); return 1;
  case 'c': value = ~0ull; return bs->GetMemoryMap((void *)&value, wild, 0, 0, 0);
  case 'd': bs->CopyMem(wild, image, ~0ull); return 1;
  case 'e': bs->SetMem(st, ~0ull >> 1, 0); return 1;
  case 'f': { uint32_t crc; return bs->CalculateCrc32(0, ~0ull, (void *)&crc); }
  case 'g': { uint32_t crc; return bs->CalculateCrc32(st, ~0ull, (void *)&crc); }
  case 'h': /* frees what it runs in, and runs on */
    status = bs->FreePages((uint64_t)me->ImageBase, (me->ImageSize + 4095) / 4096);
    bs->AllocatePages(0, 2, 64, (void *)&pointer);
    bs->SetMem(me->ImageBase, 16, 0);
    return status;
  case 'i': /* frees its stack */
    return bs->FreePages((uint64_t)__builtin_frame_address(0) & ~4095ull, 1);
  case 'j': { /* frees twice */
    bs->AllocatePool(2, 100, (void *)&pointer);
    bs->FreePool(pointer);
    return bs->FreePool(pointer);
  }
  case 'k': return bs->FreePool(wild);
  case 'l': /* a notification that signals its own event */
    notify(0x200, (void *)again, 8);
    return count;
  case 'm': notify(0x200, (void *)closes, 8); return bs->CloseEvent(event);
  case 'n': notify(0x200, (void *)exits, 8); return 1;
  case 'o': notify(0x200, (void *)waits, 8); return count;
  case 'p': notify(0x200, wild, 8); return 1;
  case 'q': /* levels that fall when they are raised, and rise when they fall */
    bs->RaiseTPL(31);
    bs->RaiseTPL(4);
    bs->RestoreTPL(31);
    bs->RestoreTPL(77);
    bs->RaiseTPL(~0ull);
    bs->RestoreTPL(0);
    bs->RestoreTPL(4);
    return 0;
  case 'r': { /* exit data that is as large as it says, and larger than memory */
    uint16_t text[] = {'x', 0};
    return bs->Exit(image, 5, ~0ull, text);
  }
  case 's': return bs->Exit(image, 5, 64, wild);
  case 't': paths(endless()); return 0;
  case 'u': paths(zero_length()); return 0;
  case 'v': paths(wild); return 1;
  case 'w': { /* closes what it has not opened, twice, and uninstalls its own image's protocol */
    bs->CloseProtocol(image, (void *)guid, image, 0);
    bs->CloseProtocol(image, (void *)guid, image, 0);
    status = bs->UninstallProtocolInterface(image, (void *)guid, me);
    return bs->UnloadImage(image);
  }
  case 'x': /* variadic pairs without an end */
    pointer = 0;
    return bs->InstallMultipleProtocolInterfaces((void *)&pointer, mine, mine, mine, mine, mine, mine, mine, mine, mine,
                                                 mine, mine, mine, mine, mine, mine, mine);
  case 'y': /* a name and a value without an end */
    return rs->SetVariable(wild, (void *)mine, 7, 8, image);
  case 'z': {
    static uint16_t name[] = {'n', 0};
    return rs->SetVariable(name, (void *)mine, 7, ~0ull, image);
  }
  case 'A': st->BootServices = wild; return bs->Stall(1); /* the system table, which the firmware reads */
  case 'B': st->ConfigurationTable = wild; st->NumberOfTableEntries = ~0ull; return bs->InstallConfigurationTable((void *)mine, st);
  case 'C': me->LoadOptions = wild; me->LoadOptionsSize = ~0u; me->FilePath = wild; me->ImageBase = wild; return 0;
  case 'D': return bs->StartImage(image, 0, 0);
  case 'E': return bs->UnloadImage(image);
  case 'F': for (;;) if (bs->AllocatePool(2, 1 << 20, (void *)&pointer)) return 0;
  case 'G': for (;;) if (bs->CreateEvent(0, 0, 0, 0, (void *)&pointer)) return 0;
  case 'H': for (pointer = 0;; pointer = 0)
    if (bs->InstallProtocolInterface((void *)&pointer, (void *)mine, 0, 0)) return 0;
  case 'I': return bs->LocateHandle(2, wild, 0, (void *)&value, 0);
  case 'J': return bs->ExitBootServices(wild, ~0ull);
  case 'K': return bs->WaitForEvent(~0ull, (void *)&event, (void *)&value);
  case 'L': return bs->SetTimer(wild, 1, 0);
  case 'M': return bs->Stall(~0ull);
  case 'N': return ((uint64_t(*)(void))((uint64_t)(void *)bs->Stall + 4096 * 15 + 3))(); /* into the firmware's code */
  case 'O': return ((uint64_t(*)(void))(void *)bs)();                                      /* into its tables */
  case 'P': { /* code that changes itself */
    static uint8_t code[64] __attribute__((aligned(64)));
    for (int round = 0; round < 50; round++) {
      for (int i = 0; i < 64; i++) code[i] = (uint8_t)(round * 37 + i * 11);
      bs->CopyMem(code, (void *)bs->Stall, 16);
    }
    return ((uint64_t(*)(void))(void *)code)();
  }
  case 'Q': { /* a stack pointer that is nowhere */
#if defined(__x86_64__)
    __asm__ volatile("mov %0, %%rsp; push %%rax" ::"r"(wild));
#elif defined(__aarch64__)
    __asm__ volatile("mov sp, %0; str x0, [sp, #-16]!" ::"r"(wild));
#elif defined(__riscv)
    __asm__ volatile("mv sp, %0; sd a0, 0(sp)" ::"r"(wild));
#endif
    return 0;
  }
  case 'R': { /* the same, when a service is called and has to call back */
    bs->CreateEvent(0x200, 8, (void *)again, 0, (void *)&event);
    void *function = (void *)bs->SignalEvent;
#if defined(__x86_64__)
    __asm__ volatile("mov %0, %%rcx; mov %1, %%rsp; jmp *%2" ::"r"(event), "r"(0x1000ull), "r"(function));
#elif defined(__aarch64__)
    __asm__ volatile("mov x0, %0; mov sp, %1; br %2" ::"r"(event), "r"(0x1000ull), "r"(function));
#elif defined(__riscv)
    __asm__ volatile("mv a0, %0; mv sp, %1; jr %2" ::"r"(event), "r"(0x1000ull), "r"(function));
#endif
    return 0;
  }
  case 'S': rs->ResetSystem(99, ~0ull, ~0ull, wild); return 1;
  case 'T': { /* a protocol whose functions are wild, for the firmware to call */
    static void *table3[4] = {(void *)0x7ead00000000, (void *)0x7ead00000000, (void *)0x7ead00000000, 0};
    static const uint8_t driver_binding[16] = {0xab, 0x31, 0xa0, 0x18, 0x43, 0xb4, 0x1a, 0x4d, 0xa5, 0xc0, 0x0c, 0x09, 0x26, 0x1e, 0x9f, 0x71};
    bs->InstallProtocolInterface((void *)&pointer, (void *)driver_binding, 0, table3);
    return bs->ConnectController(me->DeviceHandle, 0, 0, 1);
  }
  }
  return 0x8000000000000002;
}
