/* Programs that do what no program may. LoadOptions choose one: a digit. */
#include <efi.h>
#pragma GCC diagnostic ignored "-Wpragmas"
#pragma GCC diagnostic ignored "-Winfinite-recursion"
#pragma GCC diagnostic ignored "-Warray-bounds"

static EFI_SYSTEM_TABLE *st;
static EFI_BOOT_SERVICES *bs;

static EFI_LOADED_IMAGE_PROTOCOL *loaded(void *image) {
  static const uint8_t guid[] = EFI_LOADED_IMAGE_PROTOCOL_GUID;
  void *found = 0;
  bs->HandleProtocol(image, (void *)guid, &found);
  return found;
}

static uint64_t __attribute__((noinline)) overflow(volatile uint64_t depth) {
  volatile uint8_t pad[4096];
  pad[depth & 4095] = 1;
  return overflow(depth + 1) + pad[0];
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  st = table;
  bs = table->BootServices;
  EFI_LOADED_IMAGE_PROTOCOL *me = loaded(image);
  uint16_t choice = me->LoadOptions ? *(uint16_t *)me->LoadOptions : 'N';
  EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL *out = st->ConOut;
  switch (choice) {
  case 'N': return *(volatile uint64_t *)8;                        /* null */
  case 'W': return *(volatile uint64_t *)0x7ead00000000;           /* a wild read */
  case 'S': *(volatile uint64_t *)0x7ead00000000 = 1; return 0;    /* a wild write */
  case 'J': return ((uint64_t(*)(void))0x7ead00000000)();          /* a wild jump */
  case 'P': {                                                      /* a wild pointer in a service call */
    volatile uint64_t status = out->OutputString(out, (void *)0x7ead00000000);
    return status;
  }
  case 'L': for (;;) __asm__ volatile("");                         /* an endless loop */
  case 'C': for (;;) bs->Stall(1);                                 /* an endless loop of service calls */
  case 'O': return overflow(1);                                    /* the stack */
  case 'T': *(volatile uint64_t *)(void *)bs->Stall = 0; return 0; /* the code of a service */
  case 'B': for (uint64_t *p = (uint64_t *)bs; p < (uint64_t *)(bs + 1); p++) *p = 0x7ead00000000;
            return bs->Stall(1);                                   /* the table of services */
  case 'X': return bs->Exit(0, 0, 0, 0);                           /* a handle that is no image */
  case 'U': __builtin_trap();                                      /* an undefined instruction */
  case 'R': {                                                      /* starts itself, again and again */
    static const uint8_t path[] = EFI_LOADED_IMAGE_DEVICE_PATH_PROTOCOL_GUID;
    void *mine = 0, *next = 0;
    bs->HandleProtocol(image, (void *)path, &mine);
    uint64_t status = bs->LoadImage(0, image, mine, 0, 0, &next);
    if (status) return status;
    EFI_LOADED_IMAGE_PROTOCOL *other = loaded(next);
    other->LoadOptions = me->LoadOptions;
    other->LoadOptionsSize = me->LoadOptionsSize;
    return bs->StartImage(next, 0, 0);
  }
  }
  return 0x8000000000000002;
}
