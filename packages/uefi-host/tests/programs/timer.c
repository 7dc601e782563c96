/* Waits for its timers without a service call: the notification sets a flag in memory. */
#include <efi.h>

static volatile uint64_t ticks;

static void EFIAPI notify(void *event, void *context) {
  (void)event;
  *(volatile uint64_t *)context += 1;
}

uint64_t EFI_ENTRY efi_main(void *image, EFI_SYSTEM_TABLE *table) {
  (void)image;
  EFI_BOOT_SERVICES *bs = table->BootServices;
  void *event = 0;
  uint64_t status = bs->CreateEvent(0x80000200, 8, (void *)notify, (void *)&ticks, (void *)&event);
  if (status) return status;
  status = bs->SetTimer(event, 1, 50000); /* every 5 ms */
  if (status) return status;
  while (ticks < 3) __asm__ volatile("");
  uint64_t before = bs->RaiseTPL(31);
  uint64_t seen = ticks;
  for (uint64_t i = 0; i < 20000000; i++) __asm__ volatile("");
  if (ticks != seen) return 0x8000000000000007; /* a notification at TPL_HIGH_LEVEL */
  bs->RestoreTPL(before);
  if (ticks == seen) return 0x8000000000000012; /* none when the level fell */
  return bs->CloseEvent(event);
}
